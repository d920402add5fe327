"""The paper's discrete environments: Digital, Landmarks, Navigation, Blocker, and two that it does not have."""
