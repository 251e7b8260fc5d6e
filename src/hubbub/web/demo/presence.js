// Joins and leaves, collapsed: consecutive ones share one line. Pure: it knows neither the page nor the clock.

/** Most users that one line remembers; beyond that it only counts. */
const REMEMBERED = 200;
/** Most names that one group of users is shown with; the others are counted. */
const NAMED = 3;

const VERBS = {
  joined: 'joined',
  left: 'left',
  lost: 'lost the connection',
  joined_left: 'joined and left',
  joined_lost: 'joined and lost the connection',
  left_joined: 'left and came back',
  lost_joined: 'lost the connection and came back',
};
const CODES = { USER_JOINED: 'joined', USER_LEFT: 'left', USER_DISCONNECTED: 'lost' };

/** Return the content of a line without anybody: `users` are [name, first change, last change], in order of the first. */
export function nobody() {
  return { users: [], more: 0 };
}

/**
 * Add a notice to a line.
 * @param {{users: [string, string, string][], more: number}} line changed in place
 * @param {string} user
 * @param {string} code the notice's, such as "USER_JOINED"
 */
export function addChange(line, user, code) {
  const change = CODES[code];
  if (!change) return;
  const known = line.users.find(([name]) => name === user);
  if (known) known[2] = change;
  else if (line.users.length < REMEMBERED) line.users.push([user, change, change]);
  else line.more += 1;
}

/**
 * Say what a line shows: one part for all users with whom the same happened.
 * @returns {{names: string[], others: number, verb: string}[]} `others`: how many users have no name here
 */
export function describe({ users, more }) {
  const parts = new Map();
  for (const [user, first, last] of users) {
    const verb = VERBS[`${first}_${last}`] ?? VERBS[last];
    if (!parts.has(verb)) parts.set(verb, { names: [], others: 0, verb });
    const part = parts.get(verb);
    if (part.names.length < NAMED) part.names.push(user);
    else part.others += 1;
  }
  const shown = [...parts.values()];
  if (more > 0) shown.push({ names: [], others: more, verb: more === 1 ? 'other change' : 'other changes' });
  return shown;
}
