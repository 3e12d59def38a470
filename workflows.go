package tutti

import _ "embed"

// WorkflowSchema is workflows/schema.json, the JSON Schema of workflow templates:
// editors complete and check by it what package workflow holds templates to.
//
//go:embed workflows/schema.json
var WorkflowSchema []byte
