//! Tables whose files are in an object store: the session that scans one is told of its store first.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Statistics;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use object_store::ObjectStore;
use url::Url;

use super::Store;

/// A table that reads its files under the [`Store::session_url`] of a store.
pub fn registered(table: Arc<dyn TableProvider>, store: &Store) -> Arc<dyn TableProvider> {
    registered_at(table, store.session_url(), Arc::clone(store.objects()))
}

/// A table that reads its files from a store under this address, which should be unique to the store.
pub fn registered_at(
    table: Arc<dyn TableProvider>,
    root: Url,
    objects: Arc<dyn ObjectStore>,
) -> Arc<dyn TableProvider> {
    Arc::new(Registered { table, root, objects })
}

#[derive(Debug)]
struct Registered {
    table: Arc<dyn TableProvider>,
    root: Url,
    objects: Arc<dyn ObjectStore>,
}

#[async_trait]
impl TableProvider for Registered {
    fn schema(&self) -> SchemaRef {
        self.table.schema()
    }

    fn table_type(&self) -> TableType {
        self.table.table_type()
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        session.runtime_env().register_object_store(&self.root, Arc::clone(&self.objects));
        self.table.scan(session, projection, filters, limit).await
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        self.table.supports_filters_pushdown(filters)
    }

    fn statistics(&self) -> Option<Statistics> {
        self.table.statistics()
    }
}
