import { emailKeyOf } from '../email-address.js';

/**
 * Whose addresses the destination reports as failed, among the contacts that were sent. It may spell an address in its
 * own way: one that is nobody's by its key belongs to the only contact that differs in case or in form alone.
 * @param keys the e-mail keys of those who were sent.
 * @returns the keys of those who failed; undefined: a failure belongs to nobody, or could be of more than one.
 */
export function attributeFailures(
  failures: readonly string[],
  keys: readonly string[],
): string[] | undefined {
  const known = new Set(keys);
  const failed = new Set<string>();
  let byForm: Map<string, string[]> | undefined;
  for (const failure of failures) {
    let key = emailKeyOf(failure);
    if (!known.has(key)) {
      byForm ??= Map.groupBy(keys, formOf);
      const [first, ...others] = byForm.get(formOf(key)) ?? [];
      if (first === undefined || others.length > 0) return undefined;
      key = first;
    }
    failed.add(key);
  }
  return [...failed];
}

/** The same for all spellings that some database could take for one. */
function formOf(key: string): string {
  return key.normalize('NFKC').toLowerCase();
}
