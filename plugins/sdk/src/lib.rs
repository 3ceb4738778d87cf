//! Write Fabric gateways and transports as plugins.
