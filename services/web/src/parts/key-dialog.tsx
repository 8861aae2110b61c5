// Asks for the API key of a service that demands one.
import { useEffect, useRef, useState } from "preact/hooks";
import { apiKey, setApiKey } from "../api/client";
import { keyWanted, openSession, session } from "../state/session";

export function KeyDialog() {
  const dialog = useRef<HTMLDialogElement>(null);
  const [text, setText] = useState("");
  const [remember, setRemember] = useState(false);
  const [problem, setProblem] = useState("");
  const open = keyWanted.value;
  useEffect(() => {
    if (open && !dialog.current?.open) dialog.current?.showModal();
    if (!open && dialog.current?.open) dialog.current.close();
  }, [open]);
  const submit = async (event: Event) => {
    event.preventDefault();
    setProblem("");
    const key = text.trim();
    if (!key.startsWith("gsk_")) return setProblem("API keys of this service begin with gsk_.");
    setApiKey(key, remember);
    keyWanted.value = false;
    await openSession();
    if (keyWanted.peek()) setProblem("The service does not know this key, or it was revoked.");
    else setText("");
  };
  const viewer = session.value?.viewer;
  return (
    <dialog ref={dialog} class="dialog" aria-labelledby="key-title" onClose={() => (keyWanted.value = false)}>
      <form onSubmit={(event) => void submit(event)}>
        <h2 id="key-title">API key</h2>
        {viewer?.key ? (
          <p>
            You use the key <strong>{viewer.key.name}</strong> with the scope {viewer.scope.toLowerCase()}.
          </p>
        ) : (
          <p>This service answers only those who have an API key. Whoever runs it gives you one.</p>
        )}
        <label class="field">
          <span>Key</span>
          <input
            type="password"
            name="key"
            autocomplete="off"
            placeholder="gsk_…"
            value={text}
            onInput={(event) => setText(event.currentTarget.value)}
          />
        </label>
        <label class="check">
          <input type="checkbox" checked={remember} onChange={(event) => setRemember(event.currentTarget.checked)} />
          <span>Keep it in this browser after this visit</span>
        </label>
        {problem && (
          <p class="note note-error" role="alert">
            {problem}
          </p>
        )}
        <div class="row">
          <button type="submit" class="button button-main">
            Use this key
          </button>
          {apiKey.value && (
            <button type="button" class="button" onClick={() => setApiKey("", false)}>
              Forget the key
            </button>
          )}
          <button type="button" class="button" onClick={() => (keyWanted.value = false)}>
            Close
          </button>
        </div>
      </form>
    </dialog>
  );
}
