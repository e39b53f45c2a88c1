"""What people who operate this can watch: traces, metrics and logs. See docs/team-operations.md.

watching   who is told of what happens here: nobody, unless the environment asks for it (otel_watcher: who then)
asked      what the environment asks for, in the variables that OpenTelemetry knows
starting   make it so; says in one sentence why not

spans      the spans that a change's events tell, pure (span: one; stage_spans, gate_spans: those of stages, of gates)
emitting   those spans, under the ids that the record gives them (ids: which)
measures   what is counted and measured, and under which names
levels     how much there is just now

providers  OpenTelemetry's own parts, put together (exports: nothing secret in what leaves)
page       `/metrics` as Prometheus reads it
logs       lines of JSON, or of text (about: which change and stage they are about)
cleaning   secrets out of texts

Only `starting` is imported on the way to a first reply; nothing here imports a library before it is asked for.
"""
