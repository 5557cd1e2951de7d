import { Field, ObjectType } from 'type-graphql';
import { Trigger } from '../entities/trigger.js';
import type { IssuedTrigger } from '../webhooks/triggers.js';

@ObjectType('IssuedTrigger', { description: 'A trigger with its secret.' })
export class IssuedTriggerType implements IssuedTrigger {
  @Field(() => Trigger, { description: 'The trigger.' })
  trigger!: Trigger;

  @Field(() => String, { description: '`whsec_…`, shown this once: keep it where the caller finds it.' })
  secret!: string;
}
