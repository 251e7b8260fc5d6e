// The demo page: a group chat on Hubbub. This file connects the parts; each part has a file of its own.

import { Hubbub } from '../hubbub.js';
import { BASE, copyLink, insertSnippets, updateSnippets } from './snippets.js';
import { Composer } from './composer.js';
import { Login, hashOf, linkedGroup } from './login.js';
import { explain, explainEnd } from './errors.js';
import { GroupBrowser } from './groups.js';
import { noteGap, sentAt } from './incoming.js';
import { LogView } from './log_view.js';
import { KEPT, Logs } from './logs.js';
import { Outbox } from './outbox.js';
import { People } from './people.js';
import { showError, showHeading, showState, showUnread } from './state.js';
import { Storage, restore, snapshot } from './storage.js';
import { Talks } from './talks.js';
import { Views } from './views.js';

const byId = (id) => document.getElementById(id);

const logs = new Logs();
const outbox = new Outbox();
const view = new LogView({ write: talkTo, again: (log, entry) => outbox.again(log, entry) });
const composer = new Composer((text) => outbox.send(text, view.log), () => showLog(groupLog()));
const people = new People(talkTo);
const groups = new GroupBrowser(goTo);
const talks = new Talks(logs, (user) => showLog(logs.open('user', user)));
const views = new Views(countUnread);
const storage = new Storage(describe);
const login = new Login(enter);

/** The client, our user id, and the joined group. */
let hub = null;
let me = '';
let group = '';
let credentials = null;
/** The position of the last private message; a page that was reloaded continues from it. */
let inbox = null;
/** The number of the last message that was in the group's history when we joined. */
let historyEnd = 0;
/** Whether the chat is open and the group joined. Before that, errors are shown in the login form. */
let entered = false;
let lastError = '';

const groupLog = () => logs.open('group', group);

logs.onChange = (log, entry, what) => {
  view.onChange(log, entry, what);
  storage.save();
};

// --- connecting and joining ---

/** Connect, join the group, and open the chat. Rejects with the server's reason. */
async function enter(wantedCredentials, wanted) {
  const opened = new Hubbub(BASE, { ...wantedCredentials, inbox });
  hub = opened;
  try {
    await opened.connectRealtime((event) => opened === hub && onEvent(event));
    if (opened !== hub) return;
    if (me !== opened.user_id) forget(); // somebody else: nothing of the user before
    [me, credentials, inbox] = [opened.user_id, wantedCredentials, opened.inbox];
    outbox.use(opened, me);
    await join(wanted);
  } catch (error) {
    if (opened !== hub) return;
    suspend();
    throw error;
  }
  entered = true;
  openChat();
  if (view.log?.kind !== 'user' || !logs.has(view.log)) showLog(groupLog());
  if (groupLog().entries.at(-1)?.tag === 'connection') noteReconnected();
  showState('connected');
  groups.start(hub);
  for (const log of logs.list('user')) outbox.adopt(log);
}

/** Show the chat as it was before a reload, and connect again. */
function resume(saved) {
  ({ me, group, credentials, inbox } = saved);
  restore(logs, saved.logs);
  openChat();
  showLog(saved.talk === null ? groupLog() : logs.open('user', saved.talk));
  showState('connecting');
  enter(credentials, linkedGroup() || group).catch((error) => askAgain(explain(error)));
}

function openChat() {
  login.close();
  byId('chat').hidden = false;
}

/** Join another group, or show why that failed. */
async function goTo(wanted) {
  if (!entered || hub.state === 'closed') return;
  showError('');
  try {
    if (wanted !== group) await join(wanted);
    showLog(groupLog());
  } catch (error) {
    showError(explain(error));
  }
}

/** Join a group: with what was said since we were last in it, or with its history. */
async function join(wanted) {
  const log = logs.open('group', wanted);
  const joined = await hub.joinRealtime({ group: wanted, since: log.position, history: KEPT });
  group = wanted;
  log.position = hub.position;
  historyEnd = joined.position?.seq ?? 0;
  if (!log.hasMessages) log.addNote(`You joined ${wanted}`, 'self');
  location.hash = hashOf(group);
  byId('second-tab').href = BASE + hashOf(group);
  updateSnippets(group);
  groups.current = group;
  outbox.adopt(log);
  outbox.flush();
  await people.watch(hub, group, me);
}

// --- leaving ---

/** End the connection and hide the chat; what it showed is kept for the same user. */
function suspend() {
  const left = hub;
  hub = null; // so that its last events are ignored
  entered = false;
  outbox.use(null, me);
  leaveAndClose(left);
  groups.stop();
  people.stop();
  showError('');
  byId('chat').hidden = true;
}

/** Leave the group before closing, so that the others see "left" and not "lost the connection". */
async function leaveAndClose(left) {
  if (left?.state === 'connected') await left.joinRealtime({ group: null }).catch(() => {}); // not connected any more: nothing to leave
  left?.closeRealtime();
}

/** Forget everything about the user. */
function forget() {
  outbox.clear();
  logs.clear();
  inbox = null;
}

/** Show the login form, to continue as before with another token or name. */
function askAgain(error) {
  suspend();
  login.open({ credentials, group, error });
}

/** Leave the chat for good and show the login form. */
function logOut() {
  suspend();
  login.open({ credentials, group });
  forget();
  credentials = null;
  storage.clear();
}

/** Return what a reload of this tab continues with; null while nobody is logged in. */
function describe() {
  if (!credentials || !group) return null;
  const talk = view.log?.kind === 'user' ? view.log.name : null;
  return { credentials, group, me, inbox, talk, logs: snapshot(logs) };
}

// --- events of the client ---

function onEvent(event) {
  switch (event.type) {
    case 'message':
      onGroupMessage(event);
      break;
    case 'private':
      inbox = hub.inbox;
      addMessage(logs.open('user', event.sender), event, { own: false });
      break;
    case 'notice':
      onNotice(event);
      break;
    case 'gap':
      noteGap(logs, event, group);
      break;
    default:
      onConnection(event);
  }
}

function onGroupMessage(event) {
  const log = logs.open('group', event.sender_rid);
  if (event.sender_rid === hub.group) log.position = hub.position;
  const own = event.sender === me;
  if (own && outbox.isEcho(log, event)) return;
  addMessage(log, event, { own, earlier: event.sender_rid === group && event.seq !== null && event.seq <= historyEnd });
}

/** Add a message to a log. `earlier`: it was said before we came, so it is not new and its time is the sender's. */
function addMessage(log, { sender, message, seq }, { own, earlier = false }) {
  log.addMessage({ sender, body: message, own, seq, at: earlier ? sentAt(message, Date.now()) : Date.now() });
  if (!own && !earlier) log.unread += 1;
  countUnread();
}

/** Show who joined and left, but not the further tabs of a user. */
function onNotice({ sender, code, sender_rid, user_connections }) {
  if (sender_rid !== group) return;
  if (user_connections > (code === 'USER_JOINED' ? 1 : 0) || sender === me) return;
  groupLog().addPresence(sender, code);
}

/** Show the state of the connection. After a reconnect the client has rejoined the group and received what it missed. */
function onConnection({ type, code, message }) {
  if (type === 'error') lastError = message;
  if (!entered) {
    if (type === 'reconnect') login.showError('The server does not answer. Still trying …');
    return;
  }
  if (type === 'reconnect') {
    if (showState('reconnecting')) groupLog().addNote('Connection lost. Reconnecting …', 'connection');
  } else if (type === 'close') {
    const { text, needsLogin } = explainEnd({ code }, lastError);
    showState('closed');
    if (needsLogin) askAgain(text);
    else showError(text, 'Start again', () => askAgain(''));
  } else if (type === 'error') {
    showError(message);
  } else if (showState('connected')) {
    historyEnd = 0; // numbering may have started again
    showError('');
    noteReconnected();
    outbox.flush();
  }
}

function noteReconnected() {
  groupLog().addNote('Connection lost, and reconnected.', 'connection');
}

// --- what is on the screen ---

/** Show a conversation. */
function showLog(log) {
  if (view.log) view.log.pinned = false;
  log.pinned = groupLog().pinned = true;
  view.show(log);
  showHeading(log);
  views.show('conversation');
  composer.show(log, group); // sets the focus, so it must be visible
  storage.save();
}

function talkTo(user) {
  if (user !== me) showLog(logs.open('user', user));
}

/** Show how many messages nobody has seen yet. */
function countUnread() {
  if (!view.log || byId('chat').hidden) return;
  if (views.showsConversation) view.log.unread = 0;
  const privately = talks.show(view.log);
  showUnread(view.log, groupLog().unread, privately);
  groups.unread = groupLog().unread;
}

byId('leave').addEventListener('click', logOut);
byId('share').addEventListener('click', () => copyLink(group, byId('share')));
byId('build').addEventListener('click', () => byId('build-dialog').showModal());
addEventListener('hashchange', () => {
  const linked = linkedGroup();
  if (linked && !hub) login.open({ group: linked });
  else if (linked && entered && linked !== group) goTo(linked);
});
insertSnippets();
const saved = storage.load();
if (saved) resume(saved);
else login.open();
