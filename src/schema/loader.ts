import { setImmediate } from 'node:timers/promises';

/** Finds one thing by its id; null: there is none, or no id. */
export type Loader<Value> = (id: string | null) => Promise<Value | null>;

/**
 * Gathers the ids that the fields of one answer ask for in the same turn of the event loop, and looks them up at once,
 * so that a page of 100 costs one query and not 100. Nothing is remembered from one turn to the next: a subscription
 * keeps its loaders for hours and must see what changed.
 */
export function createLoader<Value>(
  findMany: (ids: string[]) => Promise<ReadonlyMap<string, Value>>,
): Loader<Value> {
  let gathering: { ids: Set<string>; found: Promise<ReadonlyMap<string, Value>> } | undefined;

  async function findGathered(ids: Set<string>): Promise<ReadonlyMap<string, Value>> {
    await setImmediate();
    gathering = undefined;
    return findMany([...ids]);
  }

  return async (id) => {
    if (id === null) return null;
    if (gathering === undefined) {
      const ids = new Set<string>();
      gathering = { ids, found: findGathered(ids) };
    }
    gathering.ids.add(id);
    return (await gathering.found).get(id) ?? null;
  };
}
