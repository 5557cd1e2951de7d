/** Why nothing was moved. The target holds nothing that it did not hold before, the source is as it was. */
export class MoveError extends Error {
  constructor(
    message: string,
    /** What to do, in a sentence or two. */
    readonly remedy: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'MoveError';
  }
}
