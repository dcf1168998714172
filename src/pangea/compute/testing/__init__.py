"""Peers that cheat, one list for development trees and for the simulator.

Nothing of the product may import this room but the command line.
"""
