"""Transfer between the agents of a team, the baselines of the paper's Figure 8: MAPTF and DVM. Needs torch alone.

config         options of both
networks       MAPTF: successor-representation options, all agents' heads in one pass
replay         MAPTF: the team's transitions with their option labels
chooser        MAPTF: which option each agent follows
option_learner MAPTF: what the networks learn
losses         MAPTF: the transfer loss, its weight, the labels
distillation   DVM: one actor and one critic out of many, and back
"""
