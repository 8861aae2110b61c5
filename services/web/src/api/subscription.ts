// Follows a subscription of the service by the graphql-transport-ws protocol.
import { apiKey } from "./client";
import type { Operation } from "./operation";

const PROTOCOL = "graphql-transport-ws";
/** Milliseconds before a lost connection is made again. */
const RETRY = 5000;

interface Message<Result> {
  type: string;
  payload?: { data?: Result };
}

/** Calls `receive` with every event until the returned function is called; a lost connection is made again. */
export function follow<Result, Variables>(
  operation: Operation<Result, Variables>,
  variables: Variables,
  receive: (result: Result) => void,
): () => void {
  let socket: WebSocket | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let stopped = false;

  const connect = () => {
    const address = new URL("/graphql", location.href);
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    socket = new WebSocket(address, PROTOCOL);
    const send = (message: object) => socket?.send(JSON.stringify(message));
    socket.onopen = () =>
      send({ type: "connection_init", payload: apiKey.value ? { Authorization: `Bearer ${apiKey.value}` } : {} });
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(String(data)) as Message<Result>;
      if (message.type === "ping") send({ type: "pong" });
      if (message.type === "connection_ack") {
        send({ id: "1", type: "subscribe", payload: { query: operation.text, variables } });
      }
      if (message.type === "next" && message.payload?.data) receive(message.payload.data);
    };
    socket.onclose = () => {
      if (!stopped) timer = setTimeout(connect, RETRY);
    };
  };

  connect();
  return () => {
    stopped = true;
    clearTimeout(timer);
    socket?.close();
  };
}
