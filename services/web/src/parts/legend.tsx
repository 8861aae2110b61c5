// What the colours of cells mean.
import { colourAt, type Scale } from "../colour";
import { theme } from "../state/theme";

const STEPS = 24;

export function Legend({ scale, from, to }: { scale: Scale; from: string; to: string }) {
  const steps = Array.from({ length: STEPS }, (_, index) => index / (STEPS - 1));
  return (
    <div class="legend" role="img" aria-label={`Colours from ${from} to ${to}`}>
      <span>{from}</span>
      <span class="legend-ramp">
        {steps.map((at) => (
          // Small probabilities get room as they do on the map.
          <span key={at} style={{ background: colourAt(scale, theme.value, scale === "probability" ? at * at : at) }} />
        ))}
      </span>
      <span>{to}</span>
    </div>
  );
}
