//! The one factory of DataFusion sessions. Everything that plans or runs SQL gets its session here, so that a statement
//! means the same at `plan`, in a run and in `headwater sql`.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::config::Dialect;
use datafusion::execution::FunctionRegistry;
use datafusion::execution::context::QueryPlanner;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, MemoryPool, TrackConsumersPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, PhysicalPlanner};
use datafusion::prelude::{SessionConfig, SessionContext};

use crate::error::Result;
use crate::float_statistics::FloatStatistics;
use crate::nodes::NodePlanner;
use crate::yielding::YieldingJoins;

/// Memory and parallelism of one process.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Bytes that all stages of the process share; what needs more spills to disk.
    pub memory: usize,
    /// Partitions of a plan; by default the number of cores.
    pub parallelism: usize,
    /// Rows of a batch.
    pub batch_size: usize,
    /// Where spilled batches go.
    pub spill_dir: PathBuf,
}

impl EngineConfig {
    /// Small enough that a process with two slots stays under 300 MB of resident memory.
    pub const DEFAULT_MEMORY: usize = 128 << 20;

    /// The defaults, spilling under the given folder.
    pub fn new(spill_dir: PathBuf) -> Self {
        let parallelism = std::thread::available_parallelism().map_or(2, NonZeroUsize::get);
        Self { memory: Self::DEFAULT_MEMORY, parallelism, batch_size: 8192, spill_dir }
    }
}

/// Makes sessions that share one memory pool.
#[derive(Debug, Clone)]
pub struct SessionFactory {
    config: EngineConfig,
    pool: Arc<dyn MemoryPool>,
}

impl SessionFactory {
    /// A factory with a pool of its own.
    pub fn new(config: EngineConfig) -> Self {
        /// How many consumers an out-of-memory error lists.
        const LISTED: NonZeroUsize = NonZeroUsize::new(4).unwrap();
        let pool = TrackConsumersPool::new(FairSpillPool::new(config.memory), LISTED);
        Self { config, pool: Arc::new(pool) }
    }

    /// The configuration it was made with.
    pub fn config(&self) -> &EngineConfig {
        &self.config
    }

    /// The shared pool.
    pub fn pool(&self) -> &Arc<dyn MemoryPool> {
        &self.pool
    }

    /// A session over the given view of the pool.
    ///
    /// `hash_joins` off makes equality joins sort and merge, which can spill; a hash join can't.
    pub fn session(&self, pool: Arc<dyn MemoryPool>, hash_joins: bool) -> Result<SessionContext> {
        let mut state = self.state(self.runtime(pool)?, hash_joins);
        for aggregate in crate::sql::aggregates() {
            state.register_udaf(aggregate)?;
        }
        Ok(SessionContext::new_with_state(state))
    }

    fn runtime(&self, pool: Arc<dyn MemoryPool>) -> Result<Arc<RuntimeEnv>> {
        let disk =
            DiskManagerBuilder::default().with_mode(DiskManagerMode::Directories(vec![self.config.spill_dir.clone()]));
        Ok(RuntimeEnvBuilder::new().with_memory_pool(pool).with_disk_manager_builder(disk).build_arc()?)
    }

    fn state(&self, runtime: Arc<RuntimeEnv>, hash_joins: bool) -> SessionState {
        let mut config = SessionConfig::new()
            .with_batch_size(self.config.batch_size)
            .with_target_partitions(self.config.parallelism)
            .with_information_schema(false);
        let options = config.options_mut();
        options.sql_parser.dialect = Dialect::PostgreSQL;
        // Names are settled by our own rule (`columns`), which knows the source's case.
        options.sql_parser.enable_ident_normalization = false;
        options.sql_parser.map_string_types_to_utf8view = false;
        options.execution.parquet.schema_force_view_types = false;
        options.execution.parquet.pushdown_filters = true;
        options.execution.time_zone = Some("UTC".to_owned());
        options.optimizer.prefer_hash_join = hash_joins;
        SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(runtime)
            .with_expr_planners(vec![Arc::new(crate::sql::Planner)])
            .with_default_features()
            .with_query_planner(Arc::new(Planner))
            .with_physical_optimizer_rules(rules())
            .build()
    }
}

/// DataFusion's rules between our own.
fn rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let mut rules = PhysicalOptimizer::default().rules;
    rules.insert(0, Arc::new(FloatStatistics));
    rules.push(Arc::new(YieldingJoins));
    rules
}

/// DataFusion's planner with our extension nodes.
#[derive(Debug)]
struct Planner;

#[async_trait]
impl QueryPlanner for Planner {
    async fn create_physical_plan(
        &self,
        plan: &LogicalPlan,
        session: &dyn Session,
    ) -> datafusion::error::Result<Arc<dyn ExecutionPlan>> {
        DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(NodePlanner)])
            .create_physical_plan(plan, session)
            .await
    }
}
