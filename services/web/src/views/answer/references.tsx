// Reference photos that support the answer, most alike or nearest first.
import { useState } from "preact/hooks";
import { Empty, Picture, Section, sized } from "../../parts/basics";
import { coordinates, day, kilometres } from "../../format";
import { headline, line } from "../../names";
import { mapView } from "../../state/map";
import type { Answer } from "../../state/photos";

type Order = "likeness" | "distance";

export function References({
  answer,
  chosen,
  onChoose,
}: {
  answer: Answer;
  chosen: string | undefined;
  onChoose: (id: string | undefined) => void;
}) {
  const [order, setOrder] = useState<Order>("likeness");
  // Numbers stay those of the order by likeness, which the map shows.
  const numbered = answer.references.map((reference, index) => ({ ...reference, number: index + 1 }));
  const sorted =
    order === "likeness" ? numbered : numbered.toSorted((a, b) => a.distanceKilometres - b.distanceKilometres);
  const show = (id: string) => {
    onChoose(id === chosen ? undefined : id);
    const found = answer.references.find(({ image }) => image.id === id)?.image.location;
    const map = mapView.peek();
    if (found && map && id !== chosen) {
      const [a, b] = [found, answer.location];
      map.fit(
        {
          south: Math.min(a.latitude, b.latitude),
          north: Math.max(a.latitude, b.latitude),
          west: Math.min(a.longitude, b.longitude),
          east: Math.max(a.longitude, b.longitude),
        },
        12,
      );
    }
  };
  return (
    <Section
      title="Photos that look alike"
      aside={
        numbered.length > 1 && (
          <label class="inline-field">
            <span class="visually-hidden">Order</span>
            <select value={order} onChange={(event) => setOrder(event.currentTarget.value as Order)}>
              <option value="likeness">most alike first</option>
              <option value="distance">nearest first</option>
            </select>
          </label>
        )
      }
    >
      {!sorted.length && (
        <Empty title="No reference photo supports this">
          <p>The winning cells have none, or none passed the filter.</p>
        </Empty>
      )}
      <ul class="references">
        {sorted.map(({ image, likeness, distanceKilometres, number }) => (
          <li key={image.id}>
            <button
              type="button"
              class={image.id === chosen ? "reference reference-chosen" : "reference"}
              aria-pressed={image.id === chosen}
              onClick={() => show(image.id)}
            >
              <Picture path={sized(image.thumbnailUrl, 256)} alt={`Reference photo ${number}, ${line(image.place)}`} className="reference-photo" />
              <span class="reference-number">{number}</span>
              <span class="reference-text">
                <strong>{kilometres(distanceKilometres)}</strong> away
                <span class="quiet">
                  likeness {likeness.toFixed(2)}
                  <br />
                  {image.place ? headline(image.place) : coordinates(image.location, 1)}
                  {image.capturedAt ? `, ${day(image.capturedAt)}` : ""}
                </span>
              </span>
            </button>
          </li>
        ))}
      </ul>
    </Section>
  );
}
