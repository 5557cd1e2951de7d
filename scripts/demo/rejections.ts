import type { GraphQLClient } from '../client/graphql-client.js';

/** Somebody whom the run did not deliver. */
export interface Rejected {
  readonly profileId: string;
  readonly email: string | null;
  readonly reason: string;
}

interface RejectionsAnswer {
  readonly exportRun: {
    readonly rejections: {
      readonly nodes: readonly Rejected[];
      readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null };
    };
  };
}

/** Everybody whom the run did not deliver, page by page. */
export async function readRejections(client: GraphQLClient, runId: string): Promise<Rejected[]> {
  const all: Rejected[] = [];
  for (let after: string | null = null; ;) {
    const answer: RejectionsAnswer = await client.query<RejectionsAnswer>(
      `query ($runId: ID!, $after: String) {
        exportRun(id: $runId) {
          rejections(first: 100, after: $after) {
            nodes { profileId email reason }
            pageInfo { hasNextPage endCursor }
          }
        }
      }`,
      { runId, after },
    );
    const { nodes, pageInfo } = answer.exportRun.rejections;
    all.push(...nodes);
    if (!pageInfo.hasNextPage) return all;
    after = pageInfo.endCursor;
  }
}
