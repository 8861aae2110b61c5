// What moves when one release answers instead of another.
import { ask } from "../../api/client";
import { ReleaseDiff } from "../../api/generated";
import { Bar, Problem, Section, Skeleton } from "../../parts/basics";
import { kilometres, percent, whole } from "../../format";
import { around, positions } from "../../geometry/box";
import { edgesOf, plainCells } from "../../map/data";
import type { Geometry } from "geojson";
import { useLoad } from "../../state/load";
import { useMap } from "../../state/map";

const PHOTOS = 100;

export function ReleaseDifference({ from, to }: { from: string; to: string }) {
  const loaded = useLoad(
    async (signal) => (await ask(ReleaseDiff, { from, to, source: "PROBE", photos: PHOTOS }, signal)).releaseDiff,
    [from, to],
  );
  const regions = loaded.value?.regions;
  useMap(
    (map) => {
      const painted = plainCells(
        (regions ?? [])
          .filter(({ moved }) => moved > 0)
          .map(({ token, outline, moved, photos }) => ({ token, outline, value: moved / Math.max(1, photos) })),
      );
      map.set("cells", painted);
      map.set("cell-edges", edgesOf(painted));
      map.handle({
        describe: (_layer, properties) => {
          const region = regions?.find(({ token }) => token === properties["token"]);
          return region && `${region.moved} of ${region.photos} photos moved more than 200 km`;
        },
      });
      const box = around(painted.features.flatMap(({ geometry }) => positions(geometry as Geometry)));
      if (box) map.fit(box, 5);
    },
    [regions],
  );
  if (loaded.state === "failed") return <Problem problem={loaded.problem} again={loaded.again} />;
  const diff = loaded.value;
  if (!diff) {
    return (
      <Section title={`From ${from} to ${to}`}>
        <p class="quiet">Both releases answer {PHOTOS} photos; the first time this takes up to a minute.</p>
        <Skeleton lines={6} label="Comparing the releases" />
      </Section>
    );
  }
  return (
    <Section title={`From ${from} to ${to}`}>
      <p class="fact">
        Of {whole(diff.photos)} photos {whole(diff.moved.unchanged)} keep their answer; half of all move less than{" "}
        {kilometres(diff.moved.medianKilometres)}, one in ten more than {kilometres(diff.moved.p90Kilometres)}. {whole(diff.won)} are
        won and {whole(diff.lost)} lost within 200 km of the truth.
      </p>
      <table class="table">
        <caption>The two answers lie within</caption>
        <tbody>
          {diff.agreement.map(({ kilometres: km, share }) => (
            <tr key={km}>
              <th scope="row">{whole(km)} km</th>
              <td class="ladder-bar">
                <Bar share={share} label={`Agree within ${km} kilometres`} />
              </td>
              <td class="number-cell">{percent(share)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {diff.accuracyFrom && diff.accuracyTo && (
        <table class="table">
          <caption>Right within</caption>
          <thead>
            <tr>
              <th scope="col">Distance</th>
              <th scope="col" class="number-cell">{from}</th>
              <th scope="col" class="number-cell">{to}</th>
              <th scope="col" class="number-cell">change</th>
            </tr>
          </thead>
          <tbody>
            {diff.accuracyFrom.map(({ kilometres: km, share }, index) => {
              const after = diff.accuracyTo?.[index]?.share ?? 0;
              const points = (after - share) * 100;
              return (
                <tr key={km}>
                  <th scope="row">{whole(km)} km</th>
                  <td class="number-cell">{percent(share)}</td>
                  <td class="number-cell">{percent(after)}</td>
                  <td class={`number-cell ${points < 0 ? "worse" : points > 0 ? "better" : ""}`}>
                    {points > 0 ? "+" : ""}
                    {points.toFixed(1)}
                  </td>
                </tr>
              );
            })}
          </tbody>
        </table>
      )}
      <table class="table">
        <caption>Same geocell at each level</caption>
        <tbody>
          {diff.sameGeocell.map(({ level, share }) => (
            <tr key={level}>
              <th scope="row">Level {level}</th>
              <td class="ladder-bar">
                <Bar share={share} label={`Same cell at level ${level}`} />
              </td>
              <td class="number-cell">{percent(share)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <p class="quiet">
        Mean confidence {percent(diff.confidenceFrom)} before, {percent(diff.confidenceTo)} after; cannot tell{" "}
        {percent(diff.cannotTellFrom)} before, {percent(diff.cannotTellTo)} after. Photos: {diff.source}.
      </p>
    </Section>
  );
}
