import { IsNull, type EntityManager } from 'typeorm';
import { Segment, SegmentGeneration, SegmentMember, SegmentSize } from '../entities/segment.js';

/** A complete generation and what is known of it. */
export interface FilledGeneration {
  readonly generation: number;
  /** The moment whose members it holds. */
  readonly at: Date;
  /** Values that the rule could not read; none of an import. */
  readonly unparsedValues?: number;
}

/** Makes a filled generation the members of the segment, and notes how large it is now. */
export async function adoptGeneration(
  manager: EntityManager,
  segmentId: string,
  { generation, at, unparsedValues = 0 }: FilledGeneration,
): Promise<void> {
  // Counted here: profiles may have been removed while it was filled.
  const memberCount = await manager.countBy(SegmentMember, { generation });
  const { affected } = await manager.update(
    SegmentGeneration,
    { id: generation, segmentId: IsNull() },
    { segmentId },
  );
  if (affected === 0) throw new Error(`The generation ${generation} was removed while it was filled.`);
  await manager.update(Segment, segmentId, { generation, memberCount, evaluatedAt: at });
  await manager.insert(SegmentSize, { segmentId, at, memberCount, unparsedValues });
}
