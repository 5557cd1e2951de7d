import { types } from 'node:util';

/**
 * Jest runs each test file in a realm of its own, but Node's modules (fs, net, …) throw errors of the outer realm, for
 * which `error instanceof Error` would be false here and true in production. (jestjs/jest#2549)
 */
Object.defineProperty(Error, Symbol.hasInstance, {
  value(candidate) {
    if (this === Error && types.isNativeError(candidate)) return true;
    return Function.prototype[Symbol.hasInstance].call(this, candidate);
  },
});
