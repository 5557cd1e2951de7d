import { registerEnumType } from 'type-graphql';

export enum AccessLevel {
  VIEW = 'VIEW',
  EDIT = 'EDIT',
}
registerEnumType(AccessLevel, {
  name: 'AccessLevel',
  description: 'What the caller may do with something.',
  valuesConfig: {
    VIEW: { description: 'See it.' },
    EDIT: { description: 'Change it and use it.' },
  },
});
