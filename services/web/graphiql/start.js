// Starts GraphiQL against this service, with a first query that always answers.
const defaultQuery = `# Ctrl-Enter runs the query; Ctrl-Space completes.
# Photos are uploaded with the localize mutation (multipart), for example:
#   curl http://127.0.0.1:8080/graphql \\
#     -F operations='{"query":"mutation($p: Upload!){ localize(photo: $p){ location { latitude longitude } confidence } }","variables":{"p":null}}' \\
#     -F map='{"0":["variables.p"]}' -F 0=@photo.jpg
query Overview {
  activeRelease {
    id
    geocells
    referenceImages
  }
  predictions(first: 5) {
    nodes {
      id
      location { latitude longitude }
      confidence
    }
  }
}
`;
const container = document.getElementById("graphiql");
container.textContent = "";
const fetcher = GraphiQL.createFetcher({ url: "/graphql" });
ReactDOM.createRoot(container).render(React.createElement(GraphiQL, { fetcher, defaultQuery }));
