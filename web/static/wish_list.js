// The list of wishes: an array of school codes, never changed, no school twice.
// The same actions as web/teacher/wish_list.py; tests/web/e2e_wishes compares the two.

// Where a new school goes in: `mode` is last, first or before; `n` counts for before.
export function add(list, school, { mode, n }) {
  if (list.includes(school)) {
    return list;
  }
  return put(list, school, { last: list.length + 1, first: 1, before: n }[mode]);
}

export function remove(list, school) {
  return list.filter((other) => other !== school);
}

// The 1-based number of a school, 0 when it is not in the list.
export function choice(list, school) {
  return list.indexOf(school) + 1;
}

// Where an action takes a school that is at `now` in a list so long; `n` is for place.
const TARGETS = {
  place: (now, length, n) => n,
  forward: (now) => now - 1,
  backward: (now) => now + 1,
  first: () => 1,
  last: (now, length) => length,
};

export function move(list, school, action, n = 1) {
  const now = choice(list, school);
  if (now === 0) {
    return list;
  }
  return put(remove(list, school), school, TARGETS[action](now, list.length, n));
}

export function same(one, other) {
  return one.length === other.length && one.every((code, at) => code === other[at]);
}

function put(list, school, n) {
  const at = Math.min(Math.max(n, 1), list.length + 1) - 1;
  return [...list.slice(0, at), school, ...list.slice(at)];
}
