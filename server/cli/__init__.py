"""The command line: one module for each command or family of commands, imported when it is asked for.

main      find the command and run it; `COMMANDS` is the list
command   what a command's module holds, and what exit statuses mean (declared_arguments: the parser of its arguments)
failures  expected problems as a sentence and a next step
spoken    what the server says to clients, as commands
terminal  tables, colours, progress and questions
opening   the repository, the store and the services that a command works on
team      those of a team in their place, when one is named (team_calls: tools in this process)
team_server a team's server in their place, by a token
desks     where a person decides: on a store, or on a server
asking    put a question to a person, and to nobody else, and know who it is (secret_prompt)

init      what it writes (template), the project that it looks at (project: declared, poetry, pytest_settings,
          node_project, node_scripts), whom it tells (agents_file)
install   a client's own configuration (clients/, hooks), remembered for uninstall (installations)
stop_hook what Claude Code asks before its agent's turn ends
doctor    what gatewright stands on (surroundings), every gate both ways (examination, proving), who can answer those of
          people and reviewers (answerers, reviewers), and what would mend them (mends, pipeline_edit);
          team_doctor: of a team (team_look); handing: without its secrets where gates could read them
approve   a person's word about a commit; registering: who is registered
board     the same in a browser
why       one screen about a stage; log: what happened; fsck: whether what is kept agrees with itself
check_pipeline: a policy that may not be committed yet (commit_source)
serve     the server over HTTP; token: who may call there; migrate: make the store that servers share; move_store: bring
          a repository's into it (database: where it is); worker: who runs its gates (starting: before the
          database that they stand on)
twins     the tools as commands (tool_arguments, waiting, replies)
run_aider a stage done by a program that speaks no MCP (aider: its command line and its run)

demo      scripted agents and a person over a real server (demo_story: the scenes; demo_sample: project and texts;
          demo_agent, demo_person, demo_killer: who acts; demo_scratch: the folder; demo_timeline, demo_summary: told)
"""
