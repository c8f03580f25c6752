//! Our own nodes in DataFusion's plans: boundaries that count what leaves a task, and barriers that test it.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::error::Result;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Extension, LogicalPlan, UserDefinedLogicalNode};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{ExtensionPlanner, PhysicalPlanner};

mod barrier;
mod boundary;
mod fold;
mod rules;
mod unique;

pub use barrier::{Barrier, BarrierNode};
pub use boundary::BoundaryNode;
pub use fold::{FoldNode, Folding};
pub use rules::{CheckRule, compile, condition};

/// Turns our logical nodes into physical ones.
#[derive(Debug)]
pub(crate) struct NodePlanner;

#[async_trait]
impl ExtensionPlanner for NodePlanner {
    async fn plan_extension(
        &self,
        planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _logical_inputs: &[&LogicalPlan],
        physical_inputs: &[Arc<dyn ExecutionPlan>],
        session: &dyn Session,
        planning: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let Some(input) = physical_inputs.first() else { return Ok(None) };
        if let Some(node) = node.as_any().downcast_ref::<BoundaryNode>() {
            return Ok(Some(node.physical(Arc::clone(input))));
        }
        if let Some(node) = node.as_any().downcast_ref::<BarrierNode>() {
            return node.physical(Arc::clone(input), planner, session, planning).map(Some);
        }
        if let Some(node) = node.as_any().downcast_ref::<FoldNode>() {
            return node.physical(Arc::clone(input)).map(Some);
        }
        Ok(None)
    }
}

/// Wraps a node for a logical plan.
pub(crate) fn extension(node: impl UserDefinedLogicalNode + 'static) -> LogicalPlan {
    LogicalPlan::Extension(Extension { node: Arc::new(node) })
}

#[cfg(test)]
mod tests;
