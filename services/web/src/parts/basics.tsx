// Small parts that every view uses.
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { pictureUrl, ServiceError } from "../api/client";
import { apiKey } from "../api/client";
import { percent } from "../format";
import { keyWanted } from "../state/session";

export function Section({ title, aside, children }: { title: string; aside?: ComponentChildren; children: ComponentChildren }) {
  return (
    <section class="section">
      <div class="section-head">
        <h2>{title}</h2>
        {aside}
      </div>
      {children}
    </section>
  );
}

/** A share of one as a bar. */
export function Bar({ share, colour, label }: { share: number; colour?: string; label: string }) {
  const width = `${Math.max(share > 0 ? 1.5 : 0, Math.min(1, share) * 100)}%`;
  return (
    <span class="bar" role="img" aria-label={`${label}: ${percent(share)}`}>
      <span class="bar-fill" style={{ width, ...(colour ? { background: colour } : {}) }} />
    </span>
  );
}

/** Grey shapes where something is about to be. */
export function Skeleton({ lines = 3, label = "Loading" }: { lines?: number; label?: string }) {
  return (
    <div class="skeleton" role="status" aria-label={label}>
      {Array.from({ length: lines }, (_, index) => (
        <span key={index} />
      ))}
    </div>
  );
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children}
    </div>
  );
}

/** What a person can do about an error of the service. */
const REMEDIES: Record<string, string> = {
  FORBIDDEN: "Your API key does not permit this. Ask whoever runs the service for one that does.",
  OVERLOADED: "The service is busy. Try again in a moment.",
  RATE_LIMITED: "Too many requests in a short time. Try again in a moment.",
  OFFLINE: "",
};

export function Problem({ problem, again }: { problem: ServiceError; again?: (() => void) | undefined }) {
  const needsKey = problem.code === "UNAUTHENTICATED";
  return (
    <div class="note note-error" role="alert">
      <p>
        <strong>{problem.message}</strong> {REMEDIES[problem.code]}
      </p>
      <div class="row">
        {needsKey && (
          <button type="button" class="button" onClick={() => (keyWanted.value = true)}>
            Enter an API key
          </button>
        )}
        {again && (
          <button type="button" class="button" onClick={again}>
            Try again
          </button>
        )}
        <code class="quiet">{problem.code}</code>
      </div>
    </div>
  );
}

/** Copies a text when pressed and says so. */
export function CopyButton({ label, text }: { label: string; text: () => string | Promise<string> }) {
  const [said, say] = useState("");
  const copy = async () => {
    try {
      await writeClipboard(await text());
      say("Copied");
    } catch (error) {
      say(error instanceof ServiceError ? error.message : "Copying was refused by the browser");
    }
    setTimeout(() => say(""), 2500);
  };
  return (
    <button type="button" class="button" onClick={() => void copy()}>
      <span aria-live="polite">{said || label}</span>
    </button>
  );
}

async function writeClipboard(text: string): Promise<void> {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  // Browsers have no clipboard for pages without TLS; the old way still works there.
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  if (!done) throw new Error("refused");
}

/** A picture of the service; fetched with the API key when there is one, as an address alone cannot carry it. */
export function Picture({ path, alt, className }: { path: string; alt: string; className?: string }) {
  const [url, setUrl] = useState<string | undefined>(undefined);
  const [gone, setGone] = useState(false);
  const withKey = apiKey.value !== "";
  useEffect(() => {
    setGone(false);
    if (!withKey) {
      setUrl(path);
      return;
    }
    const controller = new AbortController();
    let made: string | undefined;
    pictureUrl(path, controller.signal).then(
      (address) => {
        made = address;
        setUrl(address);
      },
      () => {
        if (!controller.signal.aborted) setGone(true);
      },
    );
    return () => {
      controller.abort();
      if (made) URL.revokeObjectURL(made);
    };
  }, [path, withKey]);
  if (gone) return <span class={`gone ${className ?? ""}`}>Photo not readable</span>;
  return url ? (
    <img src={url} alt={alt} class={className} loading="lazy" decoding="async" onError={() => setGone(true)} />
  ) : (
    <span class={`gone ${className ?? ""}`} />
  );
}

export function sized(thumbnailUrl: string, pixels: number): string {
  return `${thumbnailUrl}${thumbnailUrl.includes("?") ? "&" : "?"}size=${pixels}`;
}
