import { stop } from './postgres-setup.js';

/** For jest, once after all tests. */
export default stop;
