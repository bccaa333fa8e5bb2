//! `quipu verify`: judges a receipt without a node and without a network.
