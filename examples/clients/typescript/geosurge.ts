// A client of GeoSURGE's GraphQL service for Node (22.6 or newer runs this file as it is) and browsers, without dependencies.
//
//     node geosurge.ts photo.jpg …                  where were they taken?
//     node geosurge.ts --within FR photo.jpg        they are known to be of France
//
// The service's address is in GEOSURGE_URL (default http://127.0.0.1:8080), the API key, if it asks for one, in GEOSURGE_API_KEY.

export type Location = { latitude: number; longitude: number };

export type Prediction = {
  id: string;
  releaseId: string;
  cannotTell: string | null;
  confidence: number;
  place: { name: string } | null;
  location: Location;
  within: { name: string; kilometres: number; probability: number }[];
};

export type Area = { box: { south: number; west: number; north: number; east: number } } | { polygon: object } | { countries: string[] };

export type Options = { client?: string; within?: Area; scoring?: "PROBABILITY" | "COSINE"; tenCrop?: boolean };

type GraphqlError = { message: string; extensions?: { code?: string; retryAfterSeconds?: number } };

export type BatchProgress = { total: number; answered: number; refused: number; finished: boolean };

const LOCALIZE = `mutation Localize($photo: Upload!, $options: LocalizeOptions) {
  localize(photo: $photo, options: $options) {
    id releaseId cannotTell confidence place { name } location { latitude longitude } within { name kilometres probability }
  }
}`;

const LOCALIZE_BATCH = `mutation Batch($photos: [Upload!]!, $options: LocalizeOptions, $batch: ID) {
  localizeBatch(photos: $photos, options: $options, batch: $batch) {
    fileName error { code message }
    prediction { id releaseId cannotTell confidence place { name } location { latitude longitude } within { name kilometres probability } }
  }
}`;

/** An error of the service: `code` is stable, the message is for people. */
export class ServiceError extends Error {
  readonly code: string;
  readonly retryAfterSeconds: number | undefined;

  constructor(error: GraphqlError) {
    super(error.message);
    this.code = error.extensions?.code ?? "INTERNAL";
    this.retryAfterSeconds = error.extensions?.retryAfterSeconds;
  }
}

/** Speaks to one service. */
export class Client {
  readonly url: string;
  readonly key: string | undefined;

  constructor(url: string, key?: string) {
    this.url = url.replace(/\/$/, "");
    this.key = key;
  }

  /** Sends a query or mutation, with files by the paths of the variables that they stand for. */
  async query<Data>(query: string, variables: object = {}, files: Record<string, File> = {}, attempts = 5): Promise<Data> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#send<Data>(query, variables, files);
      } catch (error) {
        // A full queue and a rate pass: the service says after how many seconds.
        const wait = error instanceof ServiceError ? error.retryAfterSeconds : undefined;
        if (wait === undefined || attempt >= attempts) throw error;
        await new Promise((resolve) => setTimeout(resolve, 1000 * wait));
      }
    }
  }

  async #send<Data>(query: string, variables: object, files: Record<string, File>): Promise<Data> {
    const headers: Record<string, string> = this.key === undefined ? {} : { authorization: `Bearer ${this.key}` };
    const operations = JSON.stringify({ query, variables });
    let body: BodyInit = operations;
    const paths = Object.keys(files);
    if (paths.length > 0) {
      const form = new FormData();
      form.append("operations", operations);
      form.append("map", JSON.stringify(Object.fromEntries(paths.map((path, index) => [index, [path]]))));
      paths.forEach((path, index) => form.append(String(index), files[path]));
      body = form;
    } else {
      headers["content-type"] = "application/json";
    }
    const response = await fetch(`${this.url}/graphql`, { method: "POST", headers, body });
    const answer = (await response.json()) as { data: Data; errors?: GraphqlError[] };
    if (answer.errors !== undefined && answer.errors.length > 0) throw new ServiceError(answer.errors[0]);
    return answer.data;
  }

  /** Where was the photo taken? */
  async localize(photo: File, options: Options = {}): Promise<Prediction> {
    const variables = { photo: null, options };
    const data = await this.query<{ localize: Prediction }>(LOCALIZE, variables, { "variables.photo": photo });
    return data.localize;
  }

  /** Where was each photo taken? `progress` is told how far the batch is. */
  async localizeBatch(photos: File[], options: Options, progress: (now: BatchProgress) => void): Promise<(Prediction | ServiceError)[]> {
    const batch = crypto.randomUUID();
    const watching = this.watchBatch(batch, progress);
    const files = Object.fromEntries(photos.map((photo, index) => [`variables.photos.${index}`, photo]));
    const variables = { photos: photos.map(() => null), options, batch };
    type Result = { prediction: Prediction | null; error: { code: string; message: string } | null };
    const data = await this.query<{ localizeBatch: Result[] }>(LOCALIZE_BATCH, variables, files);
    await watching;
    return data.localizeBatch.map(
      ({ prediction, error }) => prediction ?? new ServiceError({ message: error?.message ?? "", extensions: { code: error?.code } }),
    );
  }

  /** Follows a batch over a WebSocket (graphql-transport-ws) to its end. */
  watchBatch(batch: string, progress: (now: BatchProgress) => void): Promise<void> {
    const query = "subscription Watch($batch: ID!) { batchProgress(batch: $batch) { total answered refused finished } }";
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(`${this.url.replace(/^http/, "ws")}/graphql`, "graphql-transport-ws");
      const send = (message: object) => socket.send(JSON.stringify(message));
      const payload = this.key === undefined ? {} : { Authorization: `Bearer ${this.key}` };
      socket.onopen = () => send({ type: "connection_init", payload });
      socket.onerror = () => reject(new Error("the WebSocket failed"));
      socket.onclose = (event) => reject(new Error(`the WebSocket was closed: ${event.code} ${event.reason}`));
      socket.onmessage = ({ data }) => {
        const message = JSON.parse(String(data)) as { type: string; payload: { data?: { batchProgress: BatchProgress } } };
        if (message.type === "connection_ack") send({ id: "1", type: "subscribe", payload: { query, variables: { batch } } });
        if (message.type === "next" && message.payload.data) progress(message.payload.data.batchProgress);
        if (message.type === "ping") send({ type: "pong" });
        if (message.type === "complete" || message.type === "error") {
          resolve();
          socket.close();
        }
      };
    });
  }
}

async function main(): Promise<number> {
  const { readFile } = await import("node:fs/promises");
  const { basename } = await import("node:path");
  const { parseArgs } = await import("node:util");
  const { values, positionals } = parseArgs({ options: { within: { type: "string", multiple: true } }, allowPositionals: true });
  if (positionals.length === 0) {
    console.error("usage: node geosurge.ts [--within COUNTRY] PHOTO…");
    return 2;
  }
  const client = new Client(process.env.GEOSURGE_URL ?? "http://127.0.0.1:8080", process.env.GEOSURGE_API_KEY);
  const options: Options = { client: "typescript-example" };
  if (values.within !== undefined) options.within = { countries: values.within };
  const photos = await Promise.all(positionals.map(async (path) => new File([await readFile(path)], basename(path))));
  const answers = await client.localizeBatch(photos, options, ({ total, answered, refused }) => {
    console.error(`${answered + refused} of ${total}`);
  });
  let failed = 0;
  answers.forEach((answer, index) => {
    if (answer instanceof ServiceError) {
      console.error(`${positionals[index]}: ${answer.code}: ${answer.message}`);
      failed = 1;
      return;
    }
    const { latitude, longitude } = answer.location;
    console.log(`${positionals[index]}: ${answer.place?.name ?? "at sea"} (${latitude.toFixed(4)}, ${longitude.toFixed(4)})`);
    for (const { kilometres, probability } of answer.within) {
      console.log(`  within ${kilometres} km: ${(100 * probability).toFixed(1)} %`);
    }
    if (answer.cannotTell !== null) console.log(`  not to be believed: ${answer.cannotTell}`);
  });
  return failed;
}

if (/geosurge\.(ts|mjs)$/.test(process.argv[1] ?? "")) process.exitCode = await main();
