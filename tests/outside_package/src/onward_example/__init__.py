"""An example of a package that brings a method, a network, a data set and recipes to onward."""
