// Where the time of an answer went.
import { Section } from "../../parts/basics";
import { duration } from "../../format";
import type { Answer } from "../../state/photos";

export function Timings({ answer }: { answer: Answer }) {
  const total = answer.timings.find(({ stage }) => stage === "total")?.milliseconds;
  const stages = answer.timings.filter(({ stage }) => stage !== "total");
  const sum = stages.reduce((all, { milliseconds }) => all + milliseconds, 0);
  if (!stages.length) return null;
  return (
    <Section title={`Time${total === undefined ? "" : `: ${duration(total)}`}`}>
      <div class="stages" role="img" aria-label={`Stages: ${stages.map(({ stage, milliseconds }) => `${stage} ${duration(milliseconds)}`).join(", ")}`}>
        {stages.map(({ stage, milliseconds }, index) => (
          <span key={stage} class={`stage-part series-${index % 7}`} style={{ width: `${(milliseconds / Math.max(sum, 1e-9)) * 100}%` }} />
        ))}
      </div>
      <ul class="stage-names" aria-hidden="true">
        {stages.map(({ stage, milliseconds }, index) => (
          <li key={stage}>
            <span class={`swatch series-${index % 7}`} />
            {stage} <span class="quiet">{duration(milliseconds)}</span>
          </li>
        ))}
      </ul>
    </Section>
  );
}
