/**
 * Makes one piece of work of what is asked for together: it begins with whatever is asked for at the moment, and what
 * comes while it is under way is done together next, at most `most` at a time, in order of arrival.
 * @param work answers for each item, in their order; what it throws, everybody hears who asked.
 */
export function gather<Item, Result>(
  work: (items: readonly Item[]) => Promise<readonly Result[]>,
  most: number,
): (item: Item) => Promise<Result> {
  const waiting: { item: Item; answer: PromiseWithResolvers<Result> }[] = [];
  let isWorking = false;

  const drain = async () => {
    isWorking = true;
    while (waiting.length > 0) {
      const group = waiting.splice(0, most);
      try {
        const results = await work(group.map(({ item }) => item));
        // It answers for each.
        group.forEach(({ answer }, index) => {
          answer.resolve(results[index] as Result);
        });
      } catch (error: unknown) {
        for (const { answer } of group) answer.reject(error);
      }
    }
    isWorking = false;
  };

  return (item) => {
    const answer = Promise.withResolvers<Result>();
    waiting.push({ item, answer });
    if (!isWorking) void drain();
    return answer.promise;
  };
}
