//! Texts of a fixed form in descriptions: ids, addresses, amounts, and the words of the engine, made from its own types,
//! which know nothing of descriptions.

use std::borrow::Cow;

use serde::Serialize;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::engine::event::MiningMode;
use crate::engine::view::MiningWait;

/// One of these words.
fn one_of<T: Serialize>(words: &[T], description: &str) -> RefOr<Schema> {
    let words = words.iter().map(|word| serde_json::to_value(word).expect("a word always serialises"));
    let object = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words.collect::<Vec<_>>()));
    object.description(Some(description)).into()
}

/// A text of this form.
fn text(pattern: &str, example: &str, description: &str) -> RefOr<Schema> {
    let object = ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern)).examples([example]);
    object.description(Some(description)).into()
}

macro_rules! described {
    ($($schema:ident, $name:literal, $description:literal, $make:expr;)*) => {$(
        #[doc = $description]
        pub(in crate::node) struct $schema;

        impl PartialSchema for $schema {
            fn schema() -> RefOr<Schema> {
                $make($description)
            }
        }

        impl ToSchema for $schema {
            fn name() -> Cow<'static, str> {
                $name.into()
            }
        }
    )*};
}

/// The parts that an account plays in an entry of its history, as [`Roles`](crate::node::index::Roles) has them.
pub(super) const ROLES: [&str; 4] = ["sent", "received", "mined", "recorded"];

described! {
    ModeWord, "MiningMode", "When the node mines: `pending` is while transactions wait.",
        |about| one_of(&[MiningMode::Off, MiningMode::On, MiningMode::Pending], about);
    WaitWord, "MiningWait", "`chain`: a better one is being fetched; `transactions`: none is pending; `account`: the one for \
        the rewards has no room for another.",
        |about| one_of(&[MiningWait::Chain, MiningWait::Transactions], about);
    RoleWord, "Role", "What an account did in a transaction, or what happened to it.", |about| one_of(&ROLES, about);
    IdText, "Id", "The id of a block or of a transaction.",
        |about| text("^[0-9a-f]{64}$", "989058142a61b6f63221d34a4374aa5d1c9e703929cb82329b363156be3cdc7d", about);
    AddressText, "Address", "An account, with the checksum of EIP-55 in its letters.",
        |about| text("^0x[0-9a-fA-F]{40}$", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", about);
    AmountText, "Amount", "Coins, with up to eight decimals.", |about| text("^[0-9]+([.][0-9]{1,8})?$", "2.5", about);
    BalanceText, "Balance", "Coins that an account has, with up to eighteen decimals.",
        |about| text("^[0-9]+([.][0-9]{1,18})?$", "2.5", about);
}
