// Lessons: what is a hash, a block, a chain, a fork. Each on this node's real data, with something to press. Nothing that
// is done here reaches the network.

import { el } from '../app/dom.js';
import { blockLesson } from './lessons/block.js';
import { chainLesson } from './lessons/chain.js';
import { forkLesson } from './lessons/fork.js';
import { hashLesson } from './lessons/hash.js';

const LESSONS = [
  {
    name: 'hash',
    title: 'What is a hash?',
    about: 'A fingerprint of any data. Change one bit, and half of it changes.',
    make: hashLesson,
  },
  {
    name: 'block',
    title: 'What is a block?',
    about: 'Transactions under a header. Break one, and see which rule complains.',
    make: blockLesson,
  },
  {
    name: 'chain',
    title: 'What is a chain?',
    about: 'Each block names the one below it. Change the past, and all that follows stands on a broken block.',
    make: chainLesson,
  },
  {
    name: 'fork',
    title: 'What is a fork?',
    about: 'Two miners at the same time. The longer chain wins, and the other’s transactions wait again.',
    make: forkLesson,
  },
];

/** The view: all lessons, or the chosen one. */
export async function lessons([name], context) {
  const lesson = LESSONS.find((one) => one.name === name);
  if (!lesson) return { title: 'Lessons', element: overview() };
  const steps = LESSONS.map((one) =>
    el('li', {}, el('a', { href: `#/lessons/${one.name}`, 'aria-current': one === lesson ? 'step' : null }, one.title)),
  );
  const body = await lesson.make(context);
  const element = el(
    'div',
    {},
    el('h1', {}, lesson.title),
    el('nav', { 'aria-label': 'Lessons' }, el('ol', { class: 'steps' }, steps)),
    body,
  );
  return { title: lesson.title, element };
}

function overview() {
  const cards = LESSONS.map(({ name, title, about }, at) =>
    el(
      'section',
      { class: 'card' },
      el('h2', {}, `${at + 1}. `, el('a', { href: `#/lessons/${name}` }, title)),
      el('p', {}, about),
    ),
  );
  return el(
    'div',
    {},
    el('h1', {}, 'Lessons'),
    el('p', {}, 'Four short ones, on this node’s own chain. Nothing you break here leaves this page.'),
    cards,
  );
}
