"""How `gatewright.yaml` becomes the policy.

policy_source    it, in a commit of the artifact store
yaml_source      text -> nodes that know their lines
pipeline_file    nodes -> models (pipeline_shapes, pipeline_gates, pipeline_rules, pipeline_traces: its parts)
shell_text       what a command line says
"""
