// SPDX-License-Identifier: Apache-2.0
// What a dashboard of ours may be: Grafana's own types, narrowed to the two kinds of panels that are used. derive.sh makes
// a JSON schema of it.
import * as raw from './node_modules/@grafana/schema/dist/types/raw/dashboard/x/types.gen';
import * as stat from './node_modules/@grafana/schema/dist/types/raw/composable/stat/panelcfg/x/types.gen';
import * as timeseries from './node_modules/@grafana/schema/dist/types/raw/composable/timeseries/panelcfg/x/types.gen';

// Of the type Prometheus of @grafana/prometheus, what a dashboard needs.
interface Target {
  refId: string;
  datasource: raw.DataSourceRef;
  expr: string;
  legendFormat?: string;
  instant?: boolean;
  range?: boolean;
  format?: 'time_series' | 'table' | 'heatmap';
}

type Of<Type, Options, Custom> = Omit<raw.Panel, 'type' | 'options' | 'fieldConfig' | 'targets'> & {
  type: Type;
  options: Options;
  targets: Target[];
  fieldConfig: {
    defaults: Omit<raw.FieldConfig, 'custom'> & { custom?: Custom };
    overrides: raw.FieldConfigSource['overrides'];
  };
};

type Panel = Of<'timeseries', timeseries.Options, timeseries.FieldConfig> | Of<'stat', stat.Options, {}>;

export type Dashboard = Omit<raw.Dashboard, 'panels'> & { panels: Array<Panel | raw.RowPanel> };
