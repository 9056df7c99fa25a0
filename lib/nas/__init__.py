"""Part II, search: what can be built, what it is worth, and who finds it.

genotypes           cells and genotypes as values, their text and their graph, and
                    the published ones; for search_space
search_space    04  the space: sample, mutate, tokens, canonical form, count
cells               operations, factorized reduction, the cell as a module; for nasnet
released            names of the released weights; for nasnet
nasnet          05  from genotype to cell to network, NASNet-A
shards              files of rows, checked line by line; for tabular
rankings            two lists over the same cells, and how far they agree;
                    for tabular, one_shot
replicas            trainings of a cell side by side, as one network; for tabular
tabular         06  every cell of a small space trained, then asked
history             the trials of a search, kept when it ends early;
                    for search, controller
search          07  random, evolution, local search, halving, two objectives
controller      08  LSTM controller, REINFORCE, PPO, the exact policy gradient
choices             what runs through a supernet: shares of pairs, states; for one_shot
twins               copies of networks: a path of its own, one to score; for one_shot
regrets             regret after a few trainings; for 09_one_shot
one_shot        09  supernet with shared weights, relaxation, zero-cost proxies
"""
