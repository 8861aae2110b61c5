// The shell: header, the panel with the present view, the map.
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { DropTarget } from "./parts/drop-target";
import { Icon, type IconName } from "./parts/icons";
import { KeyDialog } from "./parts/key-dialog";
import { MapPane } from "./parts/map-pane";
import { whole } from "./format";
import { formatRoute, type Route } from "./route";
import { route } from "./state/router";
import { activeRelease, keyWanted, session, sessionProblem } from "./state/session";
import { theme, toggleTheme } from "./state/theme";
import { AnalyticsView } from "./views/analytics";
import { AnswerView } from "./views/answer";
import { AnswersView } from "./views/answers";
import { CellView } from "./views/cell";
import { ExploreView } from "./views/explore";
import { LocateView } from "./views/locate";
import { ReleasesView } from "./views/releases";

const TABS: { route: Route; label: string; icon: IconName; also: Route["name"][] }[] = [
  { route: { name: "locate" }, label: "Locate", icon: "locate", also: ["answer"] },
  { route: { name: "answers" }, label: "Answers", icon: "answers", also: [] },
  { route: { name: "explore" }, label: "Explore", icon: "explore", also: ["cell"] },
  { route: { name: "releases" }, label: "Releases", icon: "releases", also: [] },
  { route: { name: "analytics" }, label: "Analytics", icon: "analytics", also: [] },
];

const TITLES: Record<Route["name"], string> = {
  locate: "Where was this photo taken?",
  answer: "Answer",
  answers: "Answers",
  explore: "Explore",
  cell: "Geocell",
  releases: "Releases",
  analytics: "Analytics",
};

function View(): JSX.Element {
  const now = route.value;
  switch (now.name) {
    case "answer":
      return <AnswerView key={now.id} id={now.id} level={now.level} />;
    case "answers":
      return <AnswersView />;
    case "explore":
      return <ExploreView level={now.level} view={now.view} />;
    case "cell":
      return <CellView key={`${now.level}/${now.token}`} level={now.level} token={now.token} release={now.release} />;
    case "releases":
      return <ReleasesView from={now.from} to={now.to} />;
    case "analytics":
      return <AnalyticsView />;
    default:
      return <LocateView />;
  }
}

export function App() {
  const { name } = route.value;
  const panel = useRef<HTMLElement>(null);
  const opened = useRef(false);
  useEffect(() => {
    document.title = `${TITLES[name]} · GeoSURGE`;
    panel.current?.scrollTo(0, 0);
    // A reader of the screen is told of the new view; not when the page opens.
    if (opened.current) panel.current?.focus({ preventScroll: true });
    opened.current = true;
  }, [name]);
  return (
    <>
      <button type="button" class="skip" onClick={() => panel.current?.focus()}>
        Skip to the content
      </button>
      <Header />
      <main class={`stage stage-${name}`}>
        <section class="panel" id="panel" ref={panel} tabIndex={-1} aria-label={TITLES[name]}>
          {sessionProblem.value && !keyWanted.value && (
            <p class="note note-error" role="alert">
              {sessionProblem.value.message}
            </p>
          )}
          <View />
          <Footer />
        </section>
        <MapPane hidden={name === "analytics"} />
      </main>
      <DropTarget />
      <KeyDialog />
    </>
  );
}

function Header() {
  const { name } = route.value;
  const release = activeRelease.value;
  const dark = theme.value === "dark";
  return (
    <header class="top">
      <a class="brand" href={formatRoute({ name: "locate" })} aria-label="GeoSURGE, first page">
        <img src="/icon.svg" alt="" width="30" height="30" />
        <span>GeoSURGE</span>
      </a>
      <nav aria-label="Views" class="tabs">
        {TABS.map((tab) => {
          const here = tab.route.name === name || tab.also.includes(name);
          return (
            <a key={tab.label} href={formatRoute(tab.route)} aria-current={here ? "page" : undefined}>
              <Icon name={tab.icon} />
              <span>{tab.label}</span>
            </a>
          );
        })}
      </nav>
      <div class="tools">
        {release && (
          <a class="chip" href={formatRoute({ name: "releases" })} title="The release that answers">
            <span class="dot dot-active" />
            <span class="chip-name">{release.id}</span>
            <span class="chip-more">{whole(release.referenceImages ?? 0)} references</span>
          </a>
        )}
        {release === null && <span class="chip"><span class="dot" />No active release</span>}
        {session.value?.viewer.keysRequired && (
          <ToolButton label="API key" onClick={() => (keyWanted.value = true)}>
            <Icon name="key" />
          </ToolButton>
        )}
        <ToolButton label={dark ? "Use light colours" : "Use dark colours"} onClick={toggleTheme}>
          <Icon name={dark ? "sun" : "moon"} />
        </ToolButton>
      </div>
    </header>
  );
}

function ToolButton({ label, onClick, children }: { label: string; onClick: () => void; children: ComponentChildren }) {
  return (
    <button type="button" class="tool" aria-label={label} title={label} onClick={onClick}>
      {children}
    </button>
  );
}

function Footer() {
  const { service } = session.value ?? {};
  return (
    <footer class="foot">
      <p>
        <a href="/graphiql">GraphQL console</a> · <a href="/schema.graphql">Schema</a> · <a href="/health">Health</a> ·{" "}
        <a href="/LICENSES.txt">Licences</a>
        {service && ` · GeoSURGE ${service.version}`}
      </p>
      <p>{service?.attribution ?? "Names of places: © OpenStreetMap contributors (ODbL), GeoNames (CC BY 4.0)."}</p>
    </footer>
  );
}
