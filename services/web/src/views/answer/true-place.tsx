// Feedback: where the photo was really taken, by dragging a pin or typing coordinates.
import { useState } from "preact/hooks";
import { ask, ServiceError } from "../../api/client";
import { RecordGroundTruth } from "../../api/generated";
import { Problem, Section } from "../../parts/basics";
import { coordinates, kilometres, parseCoordinates, plainCoordinates, type Location } from "../../format";
import { distance } from "../../geometry/sphere";
import { mapView } from "../../state/map";
import { keep, type Answer } from "../../state/photos";
import { may } from "../../state/session";

export function TrueplaceForm({
  answer,
  truth,
  onTruth,
}: {
  answer: Answer;
  truth: Location | undefined;
  onTruth: (to: Location | undefined) => void;
}) {
  const [text, setText] = useState<string | undefined>(undefined);
  const [state, setState] = useState<"idle" | "sending" | "recorded">("idle");
  const [problem, setProblem] = useState<ServiceError | undefined>(undefined);
  if (!may("ANALYST")) return null;
  const start = () => {
    setState("idle");
    setProblem(undefined);
    onTruth(answer.groundTruth?.location ?? answer.location);
  };
  const typed = text === undefined ? undefined : parseCoordinates(text);
  const record = async (event: Event) => {
    event.preventDefault();
    if (!truth) return;
    setState("sending");
    try {
      const { recordGroundTruth } = await ask(RecordGroundTruth, { prediction: answer.id, ...truth, source: "map" });
      keep({ ...answer, groundTruth: recordGroundTruth.groundTruth });
      setState("recorded");
      setProblem(undefined);
      onTruth(undefined);
      setText(undefined);
    } catch (error) {
      setState("idle");
      setProblem(error instanceof ServiceError ? error : new ServiceError("INTERNAL", String(error)));
    }
  };
  return (
    <Section title="Do you know better?">
      {!truth && (
        <>
          <p class="quiet">
            True places make the analytics honest: they tell how accurate this release is, and where.
          </p>
          <button type="button" class="button" onClick={start}>
            {answer.groundTruth ? "Correct the true place" : "Set the true place"}
          </button>
          {state === "recorded" && <p role="status" class="saved">Recorded. Thank you.</p>}
        </>
      )}
      {truth && (
        <form onSubmit={(event) => void record(event)}>
          <p>Drag the green pin to the true place, move it with the arrow keys, or type where it is.</p>
          <label class="field">
            <span>Latitude, longitude</span>
            <input
              type="text"
              inputMode="decimal"
              value={text ?? plainCoordinates(truth)}
              aria-invalid={text !== undefined && !typed}
              onInput={(event) => {
                const value = event.currentTarget.value;
                setText(value);
                const place = parseCoordinates(value);
                if (place) onTruth(place);
              }}
              onBlur={() => setText(undefined)}
            />
          </label>
          {text !== undefined && !typed && <p class="problem-text">For example: 48.8566, 2.3522</p>}
          <p class="quiet">
            {coordinates(truth)}, {kilometres(distance(answer.location, truth))} from the answer
          </p>
          {problem && <Problem problem={problem} />}
          <div class="row">
            <button type="submit" class="button button-main" disabled={state === "sending"}>
              {state === "sending" ? "Recording…" : "Record the true place"}
            </button>
            <button
              type="button"
              class="button"
              onClick={() => {
                const view = mapView.peek()?.view();
                if (view) onTruth({ latitude: view.latitude, longitude: view.longitude });
              }}
            >
              Use the map's centre
            </button>
            <button type="button" class="button" onClick={() => onTruth(undefined)}>
              Cancel
            </button>
          </div>
        </form>
      )}
    </Section>
  );
}
