/** A GraphQL operation with the types of what it gives and what it takes. */
export interface Operation<Result, Variables> {
  readonly name: string;
  readonly text: string;
  /** Only for the type checker; never set. */
  readonly types?: { result: Result; variables: Variables };
}
