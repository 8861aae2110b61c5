// Asks the service. Every failure becomes a ServiceError with the service's own code and a text for a person.
import { signal } from "@preact/signals";
import type { Operation } from "./operation";

const KEY_STORAGE = "geosurge-key";

/** The API key that goes with every request; empty without one. */
export const apiKey = signal(sessionStorage.getItem(KEY_STORAGE) ?? localStorage.getItem(KEY_STORAGE) ?? "");

/** Uses another key: for this visit, or until it is removed. */
export function setApiKey(key: string, remember: boolean): void {
  sessionStorage.removeItem(KEY_STORAGE);
  localStorage.removeItem(KEY_STORAGE);
  if (key) (remember ? localStorage : sessionStorage).setItem(KEY_STORAGE, key);
  apiKey.value = key;
}

/** What went wrong, with the service's stable code. */
export class ServiceError extends Error {
  override name = "ServiceError";
  constructor(
    /** Such as BAD_IMAGE or OVERLOADED; OFFLINE when nothing answered. */
    readonly code: string,
    message: string,
    /** Seconds after which asking again makes sense. */
    readonly retryAfter?: number,
  ) {
    super(message);
  }
}

interface Answer<Result> {
  data?: Result | null;
  errors?: { message: string; extensions?: { code?: string; retryAfterSeconds?: number } }[];
}

/** Headers that name the caller. */
export function authorization(): Record<string, string> {
  return apiKey.value ? { authorization: `Bearer ${apiKey.value}` } : {};
}

/** Sends an operation; files among its variables go by the GraphQL multipart request specification. */
export async function ask<Result, Variables extends object>(
  operation: Operation<Result, Variables>,
  variables: Variables,
  signalOfCaller?: AbortSignal,
): Promise<Result> {
  const files = Object.entries(variables).filter((entry): entry is [string, File] => entry[1] instanceof File);
  const plain = { ...variables, ...Object.fromEntries(files.map(([name]) => [name, null])) };
  const request = { operationName: operation.name, query: operation.text, variables: plain };
  const init: RequestInit = { method: "POST", headers: authorization(), signal: signalOfCaller ?? null };
  if (files.length) {
    const form = new FormData();
    form.append("operations", JSON.stringify(request));
    form.append("map", JSON.stringify(Object.fromEntries(files.map(([name], index) => [index, [`variables.${name}`]]))));
    files.forEach(([, file], index) => form.append(String(index), file, file.name));
    init.body = form;
  } else {
    init.headers = { ...authorization(), "content-type": "application/json" };
    init.body = JSON.stringify(request);
  }
  const response = await send("/graphql", init);
  const answer = (await response.json().catch(() => null)) as Answer<Result> | null;
  const error = answer?.errors?.[0];
  if (error) {
    const seconds = error.extensions?.retryAfterSeconds ?? Number(response.headers.get("retry-after") ?? Number.NaN);
    throw new ServiceError(error.extensions?.code ?? "INTERNAL", sentence(error.message), positive(seconds));
  }
  if (!answer?.data) {
    throw new ServiceError("INTERNAL", `The service answered ${response.status} without a body that can be read.`);
  }
  return answer.data;
}

async function send(path: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(path, init);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ServiceError("OFFLINE", "The service does not answer. Is it still running?");
  }
}

function positive(seconds: number): number | undefined {
  return Number.isFinite(seconds) && seconds > 0 ? seconds : undefined;
}

/** The service's messages start small and end without a stop, as they may stand inside longer ones. */
export function sentence(message: string): string {
  const text = message.trim();
  const start = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(start) ? start : `${start}.`;
}

/** Fetches a picture of the service with the key, as a blob's address; the caller revokes it. */
export async function pictureUrl(path: string, signalOfCaller?: AbortSignal): Promise<string> {
  const response = await send(path, { headers: authorization(), signal: signalOfCaller ?? null });
  if (!response.ok) throw new ServiceError("NOT_FOUND", "This picture is not there any more.");
  return URL.createObjectURL(await response.blob());
}
