import type { Sandbox } from '../../sandbox/sandbox.js';

/**
 * Lets the key stop working as soon as a batch is accepted, so that nobody can ask what becomes of it.
 * @returns what lets it work again, and answers whether it did not.
 */
export function cutOffAtAcceptance(sandbox: Sandbox): () => boolean {
  let isCut = false;
  const stop = sandbox.on('accepted', () => {
    isCut = true;
    sandbox.revokeKey();
  });
  return () => {
    stop();
    if (isCut) sandbox.restoreKey();
    return isCut;
  };
}
