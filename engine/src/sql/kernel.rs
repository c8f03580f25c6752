//! Functions of ours in DataFusion's plans. Their operands have exactly the types that the planner of expressions gave them.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::types::Type;

/// Computes a column of the result type from columns of equal length.
pub(super) type Body = fn(&[ArrayRef], &DataType) -> Result<ArrayRef>;

/// How a kernel is written in the name of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Form {
    /// `name(a, b)`
    Call,
    /// `a name b`
    Infix,
    /// `name a`
    Prefix,
    /// `a`
    Cast,
    /// `a::type`
    Typed,
}

/// A function with one body and one type.
#[derive(Debug, Clone)]
pub(super) struct Kernel {
    name: &'static str,
    form: Form,
    result: Type,
    body: Body,
    signature: Signature,
}

impl Kernel {
    /// The call of a kernel with these operands. Two kernels of one name, form and result are taken for one where their operands
    /// are equal, so a name stands for one body.
    pub(super) fn call(name: &'static str, form: Form, result: Type, body: Body, operands: Vec<Expr>) -> Expr {
        Self::call_of(name, form, result, body, operands, Volatility::Immutable)
    }

    /// The call of a kernel that is not computed while the statement is planned, though its operands are constants.
    pub(super) fn call_at_run(name: &'static str, form: Form, result: Type, body: Body, operands: Vec<Expr>) -> Expr {
        Self::call_of(name, form, result, body, operands, Volatility::Volatile)
    }

    fn call_of(
        name: &'static str,
        form: Form,
        result: Type,
        body: Body,
        operands: Vec<Expr>,
        volatility: Volatility,
    ) -> Expr {
        let signature = match operands.len() {
            0 => Signature::nullary(volatility),
            count => Signature::any(count, volatility),
        };
        let kernel = Self { name, form, result, body, signature };
        Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(ScalarUDF::from(kernel)), operands))
    }

    fn written(&self, operands: &[String]) -> String {
        match (self.form, operands) {
            (Form::Infix, [left, right]) => format!("{left} {} {right}", self.name),
            (Form::Prefix, [only]) => format!("{} {only}", self.name),
            (Form::Cast, [only, ..]) => only.clone(),
            (Form::Typed, [only, ..]) => format!("{only}::{}", self.result),
            _ => format!("{}({})", self.name, operands.join(", ")),
        }
    }
}

impl PartialEq for Kernel {
    fn eq(&self, other: &Self) -> bool {
        (self.name, self.form, &self.result) == (other.name, other.form, &other.result)
    }
}

impl Eq for Kernel {}

impl Hash for Kernel {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.name, self.form, &self.result).hash(state);
    }
}

impl ScalarUDFImpl for Kernel {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.result.arrow())
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs) -> Result<FieldRef> {
        let field = Field::new(self.name, self.result.arrow(), true);
        Ok(Arc::new(field.with_metadata(self.result.metadata())))
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let operands: Vec<String> = args.iter().map(|operand| operand.schema_name().to_string()).collect();
        Ok(self.written(&operands))
    }

    fn display_name(&self, args: &[Expr]) -> Result<String> {
        let operands: Vec<String> = args.iter().map(ToString::to_string).collect();
        Ok(self.written(&operands))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_constant = args.args.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { args.number_rows };
        let columns = args.args.into_iter().map(|value| value.into_array(rows)).collect::<Result<Vec<_>>>()?;
        let result = (self.body)(&columns, &self.result.arrow())?;
        if is_constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?));
        }
        Ok(ColumnarValue::Array(result))
    }
}
