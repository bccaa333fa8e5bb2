// The page: its frame, the search box, and the word about the connection.

import { askAgain, onTokenWanted, takeToken } from './api.js';
import { el, fill, foreign } from './dom.js';
import { renewAges } from './format.js';
import { calmly, live } from './live.js';
import { button } from './parts.js';
import { lostLine, lostTransactions } from '../views/lost.js';
import { route } from './router.js';
import { wireSearch } from './search.js';

/** The page's fixed elements, by id. */
const part = (id) => document.getElementById(id);

takeToken();
// An address with a token that is typed in this tab loads nothing anew. Before the router hears of it.
addEventListener('hashchange', () => {
  if (!takeToken()) return;
  part('token').close('');
  live.retry?.();
});
onTokenWanted(askForToken);
showConnection();
renewAges();
showLost();
wireSearch({
  form: part('search'),
  input: part('search-text'),
  file: part('search-file'),
  answer: part('search-answer'),
});
// So that a page that is opened at an account knows its name.
await live.start();
route(part('main'), part('navigation'));

function showConnection() {
  live.on('connection', ({ isConnected, wantsToken }) => {
    document.body.classList.toggle('lost', !isConnected);
    const gone = 'The node does not answer. The last known state is shown; this page tries again by itself.';
    const text = wantsToken ? 'The node answers only with its token.' : gone;
    const retry = () => {
      askAgain();
      live.retry();
    };
    fill(part('connection'), isConnected ? [] : [el('span', {}, text), ' ', button('Try now', retry)]);
  });
  live.on('status', (status) => {
    if (!status) return;
    fill(part('node-name'), foreign(status.name));
    fill(part('network-name'), status.network);
  });
  live.on('warning', ({ message }) =>
    fill(
      part('warning'),
      foreign(message),
      ' ',
      button('Hide', () => fill(part('warning'))),
    ),
  );
}

/** Says on every view that something of this node's user is lost. */
function showLost() {
  const show = calmly(async () => fill(part('lost-transactions'), lostLine(await lostTransactions())));
  live.on('watch transaction again', show);
  live.on('connection', ({ isConnected }) => isConnected && show());
}

/** Asks for the bearer token in a dialog. Gives the typed text, or nothing. */
function askForToken(complaint) {
  const dialog = part('token');
  const input = part('token-text');
  fill(part('token-complaint'), complaint);
  input.value = '';
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => resolve(dialog.returnValue === 'ok' ? input.value : ''), { once: true });
    part('token-form').onsubmit = (event) => {
      event.preventDefault();
      dialog.close('ok');
    };
    part('token-cancel').onclick = () => dialog.close('');
  });
}
