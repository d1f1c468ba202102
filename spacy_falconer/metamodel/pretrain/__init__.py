"""The recipe of the shipped metamodel: public data in, a checkpoint of encoder and heads out."""
