import { render } from "preact";
import { App } from "./app";
import { startSession } from "./state/session";
import "./styles/tokens.css";
import "./styles/layout.css";
import "./styles/parts.css";
import "./styles/answer.css";
import "./styles/charts.css";
import "./styles/map.css";

startSession();
const root = document.getElementById("app");
if (root) render(<App />, root);
