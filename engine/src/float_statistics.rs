//! Statistics of floats are not believed.
//!
//! Those of Parquet files, and of logs of Delta that are made from them, leave NaN out, which SQL counts as greater than all other numbers. DataFusion takes a
//! column whose least and greatest values are the same for a constant, and answers MIN and MAX without reading: a NaN would become another value. So the
//! statistics of such columns are taken away before anything else looks at a plan.

use std::sync::Arc;

use arrow::datatypes::Schema;
use datafusion::common::config::ConfigOptions;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Result, Statistics};
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfig, FileScanConfigBuilder};
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;

/// The rule, which comes before all others.
#[derive(Debug)]
pub(crate) struct FloatStatistics;

impl PhysicalOptimizerRule for FloatStatistics {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let changed = plan.transform_up(|node| {
            let scan = node.downcast_ref::<DataSourceExec>();
            let config = scan.and_then(|scan| scan.data_source().downcast_ref::<FileScanConfig>());
            let has_floats = |config: &&FileScanConfig| {
                config.file_schema().fields().iter().any(|field| field.data_type().is_floating())
            };
            Ok(match config.filter(has_floats) {
                None => Transformed::no(node),
                Some(config) => {
                    let scan = DataSourceExec::from_data_source(without(config));
                    Transformed::yes(scan as Arc<dyn ExecutionPlan>)
                }
            })
        });
        changed.map(|changed| changed.data)
    }

    fn name(&self) -> &str {
        "FloatStatistics"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The same scan without statistics of floats: of its files, of its groups and of all.
fn without(config: &FileScanConfig) -> FileScanConfig {
    let schema = config.file_schema();
    let groups = config.file_groups.iter().map(|group| {
        let statistics = group.file_statistics(None).cloned();
        let files = group.iter().cloned().map(|mut file| {
            file.statistics =
                file.statistics.map(|statistics| Arc::new(forgotten(Arc::unwrap_or_clone(statistics), schema)));
            file
        });
        let group = FileGroup::new(files.collect());
        match statistics {
            Some(statistics) => group.with_statistics(Arc::new(forgotten(statistics, schema))),
            None => group,
        }
    });
    let groups = groups.collect();
    let statistics = forgotten(config.statistics(), schema);
    FileScanConfigBuilder::from(config.clone()).with_file_groups(groups).with_statistics(statistics).build()
}

fn forgotten(mut statistics: Statistics, schema: &Schema) -> Statistics {
    for (column, field) in statistics.column_statistics.iter_mut().zip(schema.fields()) {
        if field.data_type().is_floating() {
            column.min_value = Precision::Absent;
            column.max_value = Precision::Absent;
            column.sum_value = Precision::Absent;
        }
    }
    statistics
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use arrow::array::{Float64Array, Int32Array, RecordBatch};
    use datafusion::prelude::ParquetReadOptions;

    use crate::session::{EngineConfig, SessionFactory};

    /// What a session answers over a file with the numbers 0.1 and NaN, which its statistics call 0.1 to 0.1.
    async fn answer(sql: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("t.parquet");
        let (ids, numbers) = (Int32Array::from(vec![1, 2]), Float64Array::from(vec![0.1, f64::NAN]));
        let batch = RecordBatch::try_from_iter([("id", Arc::new(ids) as _), ("v", Arc::new(numbers) as _)]).unwrap();
        let opened = std::fs::File::create(&file).unwrap();
        let mut writer = parquet::arrow::ArrowWriter::try_new(opened, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let config = EngineConfig::new(folder.path().join("spill"));
        let factory = SessionFactory::new(config);
        let session = factory.session(Arc::clone(factory.pool()), true).unwrap();
        let options = ParquetReadOptions::default();
        session.register_parquet("t", file.to_str().unwrap(), options).await.unwrap();
        let rows = session.sql(sql).await.unwrap().collect().await.unwrap();
        arrow::util::pretty::pretty_format_batches(&rows).unwrap().to_string()
    }

    use super::*;

    #[tokio::test]
    async fn a_file_whose_numbers_are_all_the_same_but_for_nan_keeps_its_nan() {
        let rows = answer("SELECT * FROM t ORDER BY id").await;
        assert!(rows.contains("| 2  | NaN |"), "{rows}");
    }

    #[tokio::test]
    async fn the_greatest_number_is_not_answered_by_statistics() {
        let rows = answer("SELECT max(v) AS most FROM t").await;
        assert!(rows.contains("NaN"), "{rows}");
    }
}
