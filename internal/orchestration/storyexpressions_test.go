package orchestration_test

import (
	"github.com/tutti-run/tutti/internal/orchestration"
	"github.com/tutti-run/tutti/internal/orchestration/expr"
)

func init() { orchestration.StoryExpressions = expr.New() }
