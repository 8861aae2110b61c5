// The photo with what the segmenter saw in it.
import { useState } from "preact/hooks";
import { Picture } from "../../parts/basics";
import { percent } from "../../format";
import { photoOf, type Answer } from "../../state/photos";

const LISTED = 8;

export function PhotoBox({ answer }: { answer: Answer }) {
  const photo = photoOf(answer.id);
  const { segmentation } = answer;
  const [overlay, setOverlay] = useState(false);
  const [strength, setStrength] = useState(0.6);
  if (!photo && !segmentation) {
    return (
      <p class="quiet no-photo">
        {answer.fileName ? `${answer.fileName}: ` : ""}the photo itself is not kept by the service.
      </p>
    );
  }
  const shown = segmentation && overlay;
  return (
    <figure class={overlay ? "photo-box photo-box-open" : "photo-box"}>
      <div class="photo-frame">
        {photo ? (
          <img src={photo.url} alt={`Your photo ${photo.file.name}`} />
        ) : (
          <div class="photo-missing" style={segmentation ? { aspectRatio: `${segmentation.width} / ${segmentation.height}` } : {}}>
            The photo itself is not kept by the service
          </div>
        )}
        {shown && (
          <div class="photo-overlay" style={{ opacity: strength }}>
            <Picture path={`${segmentation.overlayUrl}${segmentation.overlayUrl.includes("?") ? "&" : "?"}opacity=1`} alt="What the segmenter saw" />
          </div>
        )}
      </div>
      {segmentation && (
        <figcaption>
          <div class="row">
            <button type="button" class="button" aria-pressed={overlay} onClick={() => setOverlay(!overlay)}>
              {overlay ? "Hide what it sees" : "Show what it sees"}
            </button>
            {overlay && (
              <label class="strength">
                <span>Strength</span>
                <input
                  type="range"
                  min={0.1}
                  max={1}
                  step={0.05}
                  value={strength}
                  onInput={(event) => setStrength(Number(event.currentTarget.value))}
                />
              </label>
            )}
          </div>
          {overlay && (
            <ul class="classes" aria-label="What the photo shows, by share of the picture">
              {segmentation.classes.slice(0, LISTED).map(({ class: id, name, share, colour }) => (
                <li key={id}>
                  <span class="swatch" style={{ background: colour }} />
                  {name} <span class="quiet">{percent(share)}</span>
                </li>
              ))}
            </ul>
          )}
        </figcaption>
      )}
    </figure>
  );
}
