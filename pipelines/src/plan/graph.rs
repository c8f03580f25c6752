//! The graph of tasks: data flows and `needs`, groups expanded to their tasks.

use std::collections::{BTreeMap, HashMap};

use petgraph::Direction;
use petgraph::algo::{tarjan_scc, toposort};
use petgraph::graph::{DiGraph, EdgeIndex, NodeIndex};
use petgraph::visit::EdgeRef;

use super::TaskPath;

/// Why one task comes after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Edge {
    /// It reads its rows.
    Data,
    /// It waits for it.
    Needs,
}

/// Tasks and what they wait for.
#[derive(Debug, Default)]
pub(super) struct TaskGraph {
    graph: DiGraph<TaskPath, Edge>,
    nodes: BTreeMap<TaskPath, NodeIndex>,
    edges: HashMap<(NodeIndex, NodeIndex), EdgeIndex>,
}

impl TaskGraph {
    pub(super) fn add_task(&mut self, path: &TaskPath) {
        let node = self.graph.add_node(path.clone());
        self.nodes.insert(path.clone(), node);
    }

    /// `below` comes after `above`; both must have been added. Data wins over `needs` between the same two.
    pub(super) fn add_edge(&mut self, above: &TaskPath, below: &TaskPath, edge: Edge) {
        let (Some(&from), Some(&to)) = (self.nodes.get(above), self.nodes.get(below)) else { return };
        match self.edges.get(&(from, to)) {
            Some(&known) => self.graph[known] = self.graph[known].min(edge),
            None => {
                let added = self.graph.add_edge(from, to, edge);
                self.edges.insert((from, to), added);
            }
        }
    }

    /// How many pairs of tasks depend on each other directly.
    pub(super) fn edge_count(&self) -> usize {
        self.graph.edge_count()
    }

    /// A topological order that keeps the order of the spec where the graph leaves a choice; else one cycle's tasks.
    pub(super) fn order(&self) -> Result<Vec<TaskPath>, Vec<TaskPath>> {
        if toposort(&self.graph, None).is_err() {
            return Err(self.cycle());
        }
        let mut missing: Vec<usize> = self
            .graph
            .node_indices()
            .map(|node| self.graph.neighbors_directed(node, Direction::Incoming).count())
            .collect();
        let mut ready: std::collections::BTreeSet<NodeIndex> =
            self.graph.node_indices().filter(|node| missing[node.index()] == 0).collect();
        let mut order = Vec::with_capacity(missing.len());
        while let Some(node) = ready.pop_first() {
            order.push(self.graph[node].clone());
            for below in self.graph.neighbors(node) {
                missing[below.index()] -= 1;
                if missing[below.index()] == 0 {
                    ready.insert(below);
                }
            }
        }
        Ok(order)
    }

    fn cycle(&self) -> Vec<TaskPath> {
        let looped =
            |nodes: &[NodeIndex]| nodes.len() > 1 || nodes.iter().any(|node| self.graph.contains_edge(*node, *node));
        let component = tarjan_scc(&self.graph).into_iter().find(|nodes| looped(nodes)).unwrap_or_default();
        let Some(&start) = component.iter().min() else { return Vec::new() };
        // Walk inside the component until a task repeats: what lies between is a cycle that can be told.
        let mut walk = vec![start];
        loop {
            let here = walk[walk.len() - 1];
            let Some(next) = self.graph.neighbors(here).find(|next| component.contains(next)) else { break };
            if let Some(begin) = walk.iter().position(|node| *node == next) {
                walk.drain(..begin);
                break;
            }
            walk.push(next);
        }
        walk.iter().map(|node| self.graph[*node].clone()).collect()
    }

    /// What comes directly after a task.
    pub(super) fn below<'a>(&'a self, path: &str) -> impl Iterator<Item = (&'a TaskPath, Edge)> {
        let edges = self.nodes.get(path).map(|node| self.graph.edges_directed(*node, Direction::Outgoing));
        edges.into_iter().flatten().map(|edge| (&self.graph[edge.target()], *edge.weight()))
    }

    /// What comes directly before a task.
    pub(super) fn above<'a>(&'a self, path: &str) -> impl Iterator<Item = (&'a TaskPath, Edge)> {
        let edges = self.nodes.get(path).map(|node| self.graph.edges_directed(*node, Direction::Incoming));
        edges.into_iter().flatten().map(|edge| (&self.graph[edge.source()], *edge.weight()))
    }
}
