import js from '@eslint/js';
import regexp from 'eslint-plugin-regexp';
import tseslint from 'typescript-eslint';

export default tseslint.config(
  { ignores: ['dist/', 'node_modules/', 'data/'] },
  js.configs.recommended,
  {
    // Texts from outside reach most expressions sooner or later: none may need more than linear time.
    ignores: ['test/**'],
    plugins: { regexp },
    rules: { 'regexp/no-super-linear-backtracking': 'error', 'regexp/no-super-linear-move': 'error' },
  },
  {
    files: ['**/*.ts'],
    extends: [...tseslint.configs.strictTypeChecked, ...tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/return-await': ['error', 'in-try-catch'],
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      // `${count} contacts` reads better than `${String(count)} contacts`.
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      // Rows and JSON columns are plain objects with the shape of an entity; TypeORM hands them out as such too.
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off',
      // TypeORM migrations and GraphQL resolvers are classes by the framework's wish.
      '@typescript-eslint/no-extraneous-class': 'off',
    },
  },
  {
    // Entities and inputs are filled by TypeORM and TypeGraphQL: `!` says "assigned by the framework".
    files: ['src/entities/**', 'src/schema/**', 'src/resolvers/**'],
    rules: { '@typescript-eslint/no-non-null-assertion': 'error' },
  },
  {
    files: ['**/*.js'],
    languageOptions: { globals: { process: 'readonly', console: 'readonly' } },
  },
);
