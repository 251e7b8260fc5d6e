// What events mean for the logs: times of messages that were said earlier, and gaps. Pure: the time is passed in.

const DAY = 86_400_000;
const MINUTE = 60_000;

/**
 * Return when a message of the history was sent. Events carry no time, but this page writes one into its messages.
 * @param {any} message
 * @param {number} now milliseconds
 * @returns {number | null} null if there is none, or none of the last 24 hours: the sender could have written anything
 */
export function sentAt(message, now) {
  const age = now - message?.at;
  return age > -MINUTE && age < DAY ? message.at : null;
}

/**
 * Say in the logs that messages are missing.
 * @param {import('./logs.js').Logs} logs
 * @param {{group: string | null, missed: number | null}} gap the event
 * @param {string} current the joined group
 */
export function noteGap(logs, { group, missed }, current) {
  const what = `${group === null ? 'private ' : ''}message${missed === 1 ? '' : 's'}`;
  const text = missed === null ? `Some ${what} may be missing here.`
    : `${missed.toLocaleString('en')} ${what} ${missed === 1 ? 'is' : 'are'} missing here.`;
  for (const log of placesOf(logs, group, missed, current)) log.addNote(text, 'gap');
}

function placesOf(logs, group, missed, current) {
  if (group !== null) return [logs.open('group', group)];
  if (missed !== null) return [logs.open('group', current)]; // nobody knows in which conversation they were
  return logs.list('user').filter((log) => log.hasMessages); // a server that restarted; where nothing was said, nothing is missed
}
