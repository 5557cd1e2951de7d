import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { GraphQLClient } from '../client/graphql-client.js';
import { openProfilesFile, type ProfilesFile } from '../client/profiles-file.js';
import { counted, figure } from '../terminal/format.js';
import { compare } from './compare.js';
import type { Kept } from './keep.js';
import { writeMadeUpPeople } from './made-up-people.js';
import { mapColumns, workOutMeant } from './meant.js';
import type { Narrator } from './narrator.js';
import type { DemoOptions } from './options.js';
import { play } from './play.js';
import { readRejections } from './rejections.js';
import type { Result } from './result.js';
import { SandboxRecord } from './sandbox-record.js';
import type { Stage } from './stage.js';

export const SERVER = 'Sluice';
export const SANDBOX = 'Sandbox';
const LIST = { id: 1, name: 'Newsletter' };

/** How long a run should be seen to run. */
const RUN_SECONDS = 3.5;
/** Of the destination's time: a full batch each 600 ms, and some seconds until the last one is worked off. */
const CONTACTS_PER_BATCH = 250;
const BATCH_SECONDS = 0.6;
const LAST_BATCH_SECONDS = 8;

/** The whole demo: both processes, the play, and the comparison. They run on until the stage is closed. */
export async function perform(
  stage: Stage,
  options: DemoOptions,
  narrator: Narrator,
  signal: AbortSignal,
): Promise<{ result: Result; kept: Kept }> {
  narrator.title('Sluice: from a file of people to ActiveCampaign');
  const { file, idColumn } = await filePeople(stage, options, narrator);
  const mapping = await mapColumns(file, idColumn, options.columns);
  const meant = await workOutMeant(file, idColumn, mapping);
  signal.throwIfAborted();

  const timeScale = options.timeScale ?? timeScaleFor(meant.contacts.size);
  const { server, sandbox } = await raiseCurtain(stage, timeScale, narrator, signal);
  const client = new GraphQLClient(server, signal);
  const { host, apiKey } = sandbox;
  const cast = { file, idColumn, mapping, sandbox: { host, apiKey }, timeScale, narrator };
  const { report, run } = await play(server, client, cast, signal);

  const record = new SandboxRecord(sandbox.url, signal);
  const rejections = await readRejections(client, run.id);
  const [held, failed] = [record.contacts(), await record.failed()];
  const differences = await compare({ meant, report, run, rejections, held, failed, listId: LIST.id });
  const calls = await record.calls();
  return {
    result: { meant, run, rejections, calls, timeScale, differences },
    kept: { server, sandbox, logFile: stage.logFile(SERVER) },
  };
}

async function filePeople(
  stage: Stage,
  { profiles, count }: DemoOptions,
  narrator: Narrator,
): Promise<{ file: ProfilesFile; idColumn: string }> {
  if (profiles !== null) {
    const file = await openProfilesFile(profiles.path);
    narrator.step(`people from ${profiles.path}`);
    return { file, idColumn: profiles.idColumn };
  }
  const path = join(stage.folder, 'people.csv');
  await writeMadeUpPeople(path, count);
  narrator.step(`${figure(count)} ${count === 1 ? 'person' : 'people'} made up`);
  return { file: await openProfilesFile(path), idColumn: 'id' };
}

function timeScaleFor(contacts: number): number {
  const seconds = Math.ceil(contacts / CONTACTS_PER_BATCH) * BATCH_SECONDS + LAST_BATCH_SECONDS;
  return Math.max(1, Math.round(seconds / RUN_SECONDS));
}

async function raiseCurtain(
  stage: Stage,
  timeScale: number,
  narrator: Narrator,
  signal: AbortSignal,
): Promise<Pick<Kept, 'server'> & { sandbox: Kept['sandbox'] & { host: string } }> {
  const apiKey = randomBytes(16).toString('hex');
  const lists = `${LIST.id}:${LIST.name}`;
  const flags = { port: '0', token: apiKey, lists, 'time-scale': String(timeScale) };
  const args = [...Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value]), '--json'];
  const { url: sandboxUrl } = await stage.start(SANDBOX, 'sandbox/main.js', { args }, signal);
  const { host } = new URL(sandboxUrl);
  narrator.step(
    `sandbox of ActiveCampaign at ${sandboxUrl}, its clock ${counted(timeScale, 'time')} as fast as yours`,
  );

  const token = randomBytes(24).toString('base64url');
  const env = {
    PORT: '0',
    DATABASE_URL: `sqlite:${join(stage.folder, 'sluice.db')}`,
    SLUICE_ADMIN_TOKEN: token,
    SLUICE_SANDBOX_HOSTS: host,
    SLUICE_SANDBOX_TIME_SCALE: String(timeScale),
  };
  const { url } = await stage.start(SERVER, 'src/main.js', { env }, signal);
  narrator.step(`Sluice at ${url}, on a fresh database`);
  return { server: { url, token }, sandbox: { url: sandboxUrl, apiKey, host } };
}
